/* SPDX-License-Identifier: GPL-3.0-or-later
 * Copyright: the ovn_k8s.cluster authors
 *
 * computenetwork.dll and vmcompute.dll for Wine: the real entry points with the real signatures, and no network behind
 * them. Every call is one exchange with the emulator (lab/windows/hcn_emulator.py) over loopback TCP, which knows what
 * Windows would answer; a connection serves one call after the other. Where it listens stands in OVN_K8S_HCN_EMULATOR
 * ("127.0.0.1:port"), else in the file hcn-emulator.txt in the system directory.
 *
 * A message, both ways: u32 count, then for each field u32 length and that many bytes; little endian. Texts are UTF-8.
 * Request: function, guid, handle (decimal), text, [more texts]. Reply: HRESULT (hex), handle (decimal), value, error
 * record; an empty value or record is a null pointer for the caller.
 */
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <windows.h>
#include <objbase.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RPC_UNAVAILABLE ((HRESULT)0x800706BAL)
#define MOST_FIELDS 8
#define MOST_BYTES (16u << 20)
#define MOST_IDLE 16

typedef struct {
    unsigned count;
    unsigned length[MOST_FIELDS];
    char *text[MOST_FIELDS];
} message;

static LONG strings_given;
static LONG handles_open;

/* For tests: how many strings were handed out, and how many handles are open. */
__declspec(dllexport) LONG WINAPI EmulatorStringsGiven(void) { return strings_given; }
__declspec(dllexport) LONG WINAPI EmulatorHandlesOpen(void) { return handles_open; }

static void release(message *m)
{
    for (unsigned i = 0; i < m->count; i++)
        free(m->text[i]);
    m->count = 0;
}

static void add_bytes(message *m, char *text, unsigned length)
{
    m->text[m->count] = text;
    m->length[m->count++] = length;
}

static void add_text(message *m, const char *text)
{
    add_bytes(m, _strdup(text), (unsigned)strlen(text));
}

static void add_wide(message *m, PCWSTR wide)
{
    int size = wide ? WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL) : 1;
    char *text = calloc(1, size);
    if (wide)
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, size, NULL, NULL);
    add_bytes(m, text, size - 1);
}

static void add_guid(message *m, const GUID *id)
{
    char text[40] = "";
    if (id)
        snprintf(text, sizeof text, "%08lx-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", (unsigned long)id->Data1,
                 id->Data2, id->Data3, id->Data4[0], id->Data4[1], id->Data4[2], id->Data4[3], id->Data4[4],
                 id->Data4[5], id->Data4[6], id->Data4[7]);
    add_text(m, text);
}

static void add_handle(message *m, void *handle)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)(ULONG_PTR)handle);
    add_text(m, text);
}

static int emulator_port(void)
{
    char place[MAX_PATH + 32] = "", *colon;
    if (!GetEnvironmentVariableA("OVN_K8S_HCN_EMULATOR", place, sizeof place)) {
        char path[MAX_PATH + 32];
        GetSystemDirectoryA(path, MAX_PATH);
        strcat(path, "\\hcn-emulator.txt");
        HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
        DWORD size = 0;
        if (file == INVALID_HANDLE_VALUE)
            return 0;
        ReadFile(file, place, sizeof place - 1, &size, NULL);
        CloseHandle(file);
        place[size] = 0;
    }
    colon = strrchr(place, ':');
    return colon ? atoi(colon + 1) : 0;
}

/* Connections are kept: under Wine, making one takes longer than all else that a call does. */
static SRWLOCK idle_lock = SRWLOCK_INIT;
static SOCKET idle[MOST_IDLE];
static int idle_count;

static SOCKET kept_connection(void)
{
    SOCKET s = INVALID_SOCKET;
    AcquireSRWLockExclusive(&idle_lock);
    if (idle_count)
        s = idle[--idle_count];
    ReleaseSRWLockExclusive(&idle_lock);
    return s;
}

static void keep_connection(SOCKET s)
{
    AcquireSRWLockExclusive(&idle_lock);
    if (idle_count < MOST_IDLE) {
        idle[idle_count++] = s;
        s = INVALID_SOCKET;
    }
    ReleaseSRWLockExclusive(&idle_lock);
    if (s != INVALID_SOCKET)
        closesocket(s);
}

static SOCKET new_connection(void)
{
    WSADATA data;
    struct sockaddr_in place = {0};
    SOCKET s;
    if (WSAStartup(MAKEWORD(2, 2), &data))
        return INVALID_SOCKET;
    place.sin_family = AF_INET;
    place.sin_port = htons((unsigned short)emulator_port());
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (s != INVALID_SOCKET && connect(s, (struct sockaddr *)&place, sizeof place)) {
        closesocket(s);
        s = INVALID_SOCKET;
    }
    return s;
}

static int send_request(SOCKET s, const message *request)
{
    unsigned size = 4, at = 4;
    char *packed;
    int ok = 1;
    for (unsigned i = 0; i < request->count; i++)
        size += 4 + request->length[i];
    packed = malloc(size);
    memcpy(packed, &request->count, 4);
    for (unsigned i = 0; i < request->count; i++) {
        memcpy(packed + at, &request->length[i], 4);
        memcpy(packed + at + 4, request->text[i], request->length[i]);
        at += 4 + request->length[i];
    }
    for (at = 0; ok && at < size;) {
        int sent = send(s, packed + at, size - at, 0);
        ok = sent > 0;
        at += ok ? sent : 0;
    }
    free(packed);
    return ok;
}

/* What has come of a reply, and how much of it was read. */
typedef struct {
    SOCKET s;
    char bytes[4096];
    unsigned at, end;
} incoming;

static int take(incoming *from, void *data, unsigned size)
{
    char *to = data;
    while (size) {
        unsigned part = from->end - from->at;
        if (!part) {
            int got = recv(from->s, from->bytes, sizeof from->bytes, 0);
            if (got <= 0)
                return 0;
            from->at = 0;
            from->end = part = got;
        }
        if (part > size)
            part = size;
        memcpy(to, from->bytes + from->at, part);
        from->at += part;
        to += part;
        size -= part;
    }
    return 1;
}

static int take_reply(incoming *from, message *reply)
{
    unsigned count;
    int ok = take(from, &count, 4) && count <= MOST_FIELDS;
    for (unsigned i = 0; ok && i < count; i++) {
        unsigned length;
        char *text;
        if (!take(from, &length, 4) || length > MOST_BYTES)
            return 0;
        text = calloc(1, length + 1);
        add_bytes(reply, text, length);
        ok = take(from, text, length);
    }
    return ok && reply->count == 4;
}

static int exchange(const message *request, message *reply)
{
    int ok = 0, kept;
    do {
        incoming from = {.s = kept_connection()};
        kept = from.s != INVALID_SOCKET;
        if (!kept)
            from.s = new_connection();
        if (from.s == INVALID_SOCKET)
            return 0;
        release(reply);
        ok = send_request(from.s, request) && take_reply(&from, reply);
        if (ok)
            keep_connection(from.s);
        else
            closesocket(from.s);
        /* The emulator may have been another one when a connection was kept: a new one is tried last. */
    } while (!ok && kept);
    return ok;
}

static PWSTR given(const char *text, unsigned length)
{
    int size;
    PWSTR wide;
    if (!length)
        return NULL;
    size = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    wide = CoTaskMemAlloc(size * sizeof *wide);
    MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, size);
    InterlockedIncrement(&strings_given);
    return wide;
}

/* One call; the request is consumed. Null pointers for what the caller does not want. */
static HRESULT call(message *request, void **handle, PWSTR *value, PWSTR *record)
{
    message reply = {0};
    HRESULT code = RPC_UNAVAILABLE;
    if (value)
        *value = NULL;
    if (record)
        *record = NULL;
    if (exchange(request, &reply)) {
        code = (HRESULT)strtoul(reply.text[0], NULL, 16);
        if (handle) {
            *handle = (void *)(ULONG_PTR)strtoull(reply.text[1], NULL, 10);
            if (SUCCEEDED(code) && *handle)
                InterlockedIncrement(&handles_open);
        }
        if (value)
            *value = given(reply.text[2], reply.length[2]);
        if (record)
            *record = given(reply.text[3], reply.length[3]);
    }
    release(&reply);
    release(request);
    return code;
}

static void begin(message *m, const char *function, const GUID *id, void *handle, PCWSTR text)
{
    m->count = 0;
    add_text(m, function);
    add_guid(m, id);
    add_handle(m, handle);
    add_wide(m, text);
}

#define EXPORT __declspec(dllexport)

static HRESULT closed(const char *function, void *object)
{
    message m;
    HRESULT code;
    begin(&m, function, NULL, object, NULL);
    code = call(&m, NULL, NULL, NULL);
    if (SUCCEEDED(code))
        InterlockedDecrement(&handles_open);
    return code;
}

#ifdef VMCOMPUTE

EXPORT HRESULT WINAPI HNSCall(PCWSTR method, PCWSTR path, PCWSTR body, PWSTR *response)
{
    message m;
    begin(&m, "HNSCall", NULL, NULL, method);
    add_wide(&m, path);
    add_wide(&m, body);
    return call(&m, NULL, response, NULL);
}

EXPORT HRESULT WINAPI HcsOpenComputeSystem(PCWSTR id, void **system, PWSTR *result)
{
    message m;
    begin(&m, "HcsOpenComputeSystem", NULL, NULL, id);
    return call(&m, system, NULL, result);
}

EXPORT HRESULT WINAPI HcsModifyComputeSystem(void *system, PCWSTR configuration, PWSTR *result)
{
    message m;
    begin(&m, "HcsModifyComputeSystem", NULL, system, configuration);
    return call(&m, NULL, NULL, result);
}

EXPORT HRESULT WINAPI HcsCloseComputeSystem(void *system)
{
    return closed("HcsCloseComputeSystem", system);
}

#else

/* clang-format off */
#define ENUMERATE(name) \
    EXPORT HRESULT WINAPI Hcn##name(PCWSTR query, PWSTR *ids, PWSTR *record) \
    { message m; begin(&m, "Hcn" #name, NULL, NULL, query); return call(&m, NULL, ids, record); }
#define OPEN(name) \
    EXPORT HRESULT WINAPI Hcn##name(REFGUID id, void **object, PWSTR *record) \
    { message m; begin(&m, "Hcn" #name, id, NULL, NULL); return call(&m, object, NULL, record); }
#define CREATE(name) \
    EXPORT HRESULT WINAPI Hcn##name(REFGUID id, PCWSTR settings, void **object, PWSTR *record) \
    { message m; begin(&m, "Hcn" #name, id, NULL, settings); return call(&m, object, NULL, record); }
#define MODIFY(name) \
    EXPORT HRESULT WINAPI Hcn##name(void *object, PCWSTR settings, PWSTR *record) \
    { message m; begin(&m, "Hcn" #name, NULL, object, settings); return call(&m, NULL, NULL, record); }
#define QUERY(name) \
    EXPORT HRESULT WINAPI Hcn##name(void *object, PCWSTR query, PWSTR *properties, PWSTR *record) \
    { message m; begin(&m, "Hcn" #name, NULL, object, query); return call(&m, NULL, properties, record); }
#define DELETE_(name) \
    EXPORT HRESULT WINAPI Hcn##name(REFGUID id, PWSTR *record) \
    { message m; begin(&m, "Hcn" #name, id, NULL, NULL); return call(&m, NULL, NULL, record); }
#define CLOSE(name) \
    EXPORT HRESULT WINAPI Hcn##name(void *object) \
    { return closed("Hcn" #name, object); }
#define KIND(name) \
    ENUMERATE(Enumerate##name##s) OPEN(Open##name) MODIFY(Modify##name) QUERY(Query##name##Properties) \
    DELETE_(Delete##name) CLOSE(Close##name)

KIND(Network) CREATE(CreateNetwork)
KIND(Endpoint)
KIND(Namespace) CREATE(CreateNamespace)
KIND(LoadBalancer) CREATE(CreateLoadBalancer)
/* clang-format on */

EXPORT HRESULT WINAPI HcnCreateEndpoint(void *network, REFGUID id, PCWSTR settings, void **endpoint, PWSTR *record)
{
    message m;
    begin(&m, "HcnCreateEndpoint", id, network, settings);
    return call(&m, endpoint, NULL, record);
}

#endif

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved)
{
    (void)reserved;
    if (reason == DLL_PROCESS_ATTACH)
        DisableThreadLibraryCalls(instance);
    return TRUE;
}
