/* SPDX-License-Identifier: GPL-3.0-or-later
 * Copyright: the ovn_k8s.cluster authors
 *
 * netsh.exe for Wine, whose own succeeds at anything: `netsh advfirewall firewall add|delete|show rule name=...`, with the
 * exit codes that Windows documents. Rules are lines of standin-firewall.txt in the system directory and let nothing
 * through that was not let through before: there is no firewall behind them. Any other command fails.
 */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 4096

static char path[MAX_PATH + 40];

static const char *value(int count, char **words, const char *key)
{
    size_t length = strlen(key);
    for (int i = 0; i < count; i++)
        if (!_strnicmp(words[i], key, length) && words[i][length] == '=')
            return words[i] + length + 1;
    return NULL;
}

/* Show (or drop) the rules of a name; how many there were. A line is the name, a tab, and the rest. */
static int each(const char *name, int drop)
{
    char line[LONGEST], temporary[sizeof path + 4];
    int found = 0;
    FILE *rules = fopen(path, "r"), *left = NULL;
    if (!rules)
        return 0;
    snprintf(temporary, sizeof temporary, "%s.new", path);
    if (drop)
        left = fopen(temporary, "w");
    while (fgets(line, sizeof line, rules)) {
        char *tab = strchr(line, '\t');
        int same = tab && !_strnicmp(line, name, tab - line) && name[tab - line] == 0;
        if (same && !drop)
            printf("\r\nRule Name: %s\r\n----------------------------------------------------------------------\r\n%s", name,
                   tab + 1);
        if (!same && left)
            fputs(line, left);
        found += same;
    }
    fclose(rules);
    if (left) {
        fclose(left);
        MoveFileExA(temporary, path, MOVEFILE_REPLACE_EXISTING);
    }
    return found;
}

static int add(const char *name, int count, char **words)
{
    const char *action = value(count, words, "action"), *direction = value(count, words, "dir");
    FILE *rules;
    if (!action || !direction || strchr(name, '\t')) {
        printf("A specified value is not valid.\r\n");
        return 1;
    }
    rules = fopen(path, "a");
    if (!rules)
        return 1;
    fprintf(rules, "%s\t", name);
    for (int i = 0; i < count; i++)
        if (_strnicmp(words[i], "name=", 5))
            fprintf(rules, "%s; ", words[i]);
    fprintf(rules, "\n");
    fclose(rules);
    printf("Ok.\r\n");
    return 0;
}

int main(int count, char **words)
{
    const char *name = value(count, words, "name");
    GetSystemDirectoryA(path, MAX_PATH);
    strcat(path, "\\standin-firewall.txt");
    if (count < 6 || _stricmp(words[1], "advfirewall") || _stricmp(words[2], "firewall") || _stricmp(words[4], "rule") || !name) {
        printf("The following command was not found.\r\n");
        return 1;
    }
    if (!_stricmp(words[3], "add"))
        return add(name, count - 5, words + 5);
    if (_stricmp(words[3], "show") && _stricmp(words[3], "delete")) {
        printf("The following command was not found.\r\n");
        return 1;
    }
    if (!each(name, !_stricmp(words[3], "delete"))) {
        printf("\r\nNo rules match the specified criteria.\r\n");
        return 1;
    }
    printf("Ok.\r\n");
    return 0;
}
