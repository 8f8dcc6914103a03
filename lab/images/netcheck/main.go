// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

// Command netcheck is what the lab's pods run: a server that says who has called it, and the client that asks.
//
// Every subcommand prints one line of JSON. The exit status is 0 when what was asked for worked, 1 when it did not and
// 2 when the command line is wrong.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

const usage = `usage: netcheck pause                          wait, as the first process of a pod
       netcheck serve [--port N]               answer on TCP (plain lines and HTTP) and UDP
       netcheck check tcp|udp HOST PORT [...]  talk to "serve" and print what it saw
       netcheck mtu HOST PORT [...]            largest packet that reaches "serve" in one piece
       netcheck http URL [...]                 fetch a URL
       netcheck batch                          many of check, mtu and http at once, from standard input
"netcheck SUBCOMMAND --help" lists its options.
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(arguments []string, out, errors io.Writer) int {
	subcommands := map[string]func([]string, io.Writer, io.Writer) int{
		"pause": pause, "serve": serve, "check": check, "mtu": mtu, "http": fetch, "batch": batch,
	}
	if len(arguments) > 0 {
		if subcommand, known := subcommands[arguments[0]]; known {
			return subcommand(arguments[1:], out, errors)
		}
	}
	fmt.Fprint(errors, usage)
	return 2
}

// report prints a result and turns it into an exit status.
func report(out io.Writer, ok bool, result any) int {
	line, err := json.Marshal(result)
	if err != nil {
		line = []byte(fmt.Sprintf(`{"ok":false,"error":%q}`, err))
		ok = false
	}
	fmt.Fprintf(out, "%s\n", line)
	if ok {
		return 0
	}
	return 1
}
