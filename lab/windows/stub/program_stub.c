/* SPDX-License-Identifier: GPL-3.0-or-later
 * Copyright: the ovn_k8s.cluster authors
 *
 * A Windows program that the lab has no real one of (kubelet.exe, containerd.exe, ...): a real executable for the service
 * control manager, whose work is done by the lab (lab/windows/programs.py) over loopback TCP. Where that listens stands
 * in standin-programs.txt in the system directory.
 *
 * Request: u32 length, then "S" (service) or "C" (console) and the command line in UTF-8. Reply: u32 exit code, u32 length,
 * text. A console program prints the text and ends. A service runs while the connection is open: it ends when the other
 * side closes it, and closes it when it is told to stop. cri-dockerd.exe runs likewise, but is no service: the service
 * control manager would wait for it in vain. Little endian.
 */
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES (1u << 20)

static SERVICE_STATUS_HANDLE status_handle;
static SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, 0, SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN, 0, 0, 0, 0};
static SOCKET connection = INVALID_SOCKET;
static volatile LONG told_to_stop;

static int transfer(char *at, unsigned size, int sending)
{
    while (size) {
        int done = sending ? send(connection, at, size, 0) : recv(connection, at, size, 0);
        if (done <= 0)
            return 0;
        at += done;
        size -= done;
    }
    return 1;
}

static unsigned short port(void)
{
    char path[MAX_PATH + 40] = "", place[64] = "", *colon;
    DWORD size = 0;
    GetSystemDirectoryA(path, MAX_PATH);
    strcat(path, "\\standin-programs.txt");
    HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return 0;
    ReadFile(file, place, sizeof place - 1, &size, NULL);
    CloseHandle(file);
    colon = strrchr(place, ':');
    return colon ? (unsigned short)atoi(colon + 1) : 0;
}

/* Ask the lab; the exit code. The text that it answers is the caller's to free. */
static unsigned ask(char kind, char **text)
{
    WSADATA data;
    struct sockaddr_in place = {0};
    unsigned length, reply[2] = {ERROR_SERVICE_NOT_ACTIVE, 0};
    int size = WideCharToMultiByte(CP_UTF8, 0, GetCommandLineW(), -1, NULL, 0, NULL, NULL);
    char *request = malloc(size + 5);
    *text = NULL;
    length = (unsigned)size; /* the kind, and no terminator */
    memcpy(request, &length, 4);
    request[4] = kind;
    WideCharToMultiByte(CP_UTF8, 0, GetCommandLineW(), -1, request + 5, size, NULL, NULL);
    WSAStartup(MAKEWORD(2, 2), &data);
    place.sin_family = AF_INET;
    place.sin_port = htons(port());
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (connect(connection, (struct sockaddr *)&place, sizeof place) == 0 && transfer(request, length + 4, 1)
        && transfer((char *)reply, 8, 0) && reply[1] < MOST_BYTES) {
        *text = calloc(1, reply[1] + 1);
        if (!transfer(*text, reply[1], 0))
            reply[0] = ERROR_SERVICE_NOT_ACTIVE;
    }
    free(request);
    return reply[0];
}

static void report(DWORD state, DWORD code)
{
    status.dwCurrentState = state;
    status.dwWin32ExitCode = code ? ERROR_SERVICE_SPECIFIC_ERROR : NO_ERROR;
    status.dwServiceSpecificExitCode = code;
    SetServiceStatus(status_handle, &status);
}

static DWORD WINAPI control(DWORD code, DWORD type, void *data, void *context)
{
    (void)type, (void)data, (void)context;
    if (code == SERVICE_CONTROL_STOP || code == SERVICE_CONTROL_SHUTDOWN) {
        report(SERVICE_STOP_PENDING, 0);
        InterlockedExchange(&told_to_stop, 1);
        shutdown(connection, SD_BOTH);
    }
    return NO_ERROR;
}

/* Be there until the other side ends it; the exit code. */
static unsigned run(void (*begun)(void))
{
    char *text, rest;
    unsigned code = ask('S', &text);
    if (code && text)
        fprintf(stderr, "%s\n", text);
    free(text);
    if (!code) {
        if (begun)
            begun();
        while (transfer(&rest, 1, 0))
            ;
        code = told_to_stop ? 0 : 1;
    }
    closesocket(connection);
    return code;
}

static void running(void)
{
    report(SERVICE_RUNNING, 0);
}

static void WINAPI service(DWORD count, WCHAR **words)
{
    (void)count;
    status_handle = RegisterServiceCtrlHandlerExW(words[0], control, NULL);
    report(SERVICE_START_PENDING, 0);
    report(SERVICE_STOPPED, run(running));
}

int main(void)
{
    const char *line = GetCommandLineA();
    const char *kinds[] = {"--windows-service", "--run-service", "--service"}; /* of Kubernetes, Docker, Open vSwitch */
    int is_service = 0;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        is_service |= strstr(line, kinds[i]) != NULL;
    if (is_service) {
        SERVICE_TABLE_ENTRYW table[] = {{(WCHAR *)L"", service}, {NULL, NULL}};
        return StartServiceCtrlDispatcherW(table) ? 0 : (int)GetLastError();
    }
    if (strstr(line, "cri-dockerd") && !strstr(line, "--version"))
        return (int)run(NULL);
    char *text;
    unsigned code = ask('C', &text);
    if (text)
        fputs(text, stdout);
    return (int)code;
}
