// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"time"
)

// CheckResult is what "check" prints.
type CheckResult struct {
	OK           bool    `json:"ok"`
	Protocol     string  `json:"protocol"`
	Server       string  `json:"server"`           // host:port as asked for
	Attempts     int     `json:"attempts"`         // how many it took
	Milliseconds float64 `json:"milliseconds"`     // of the last attempt
	Answer       *Answer `json:"answer,omitempty"` // what the server said
	Error        string  `json:"error,omitempty"`  // why the last attempt failed
}

func check(arguments []string, out, errors io.Writer) int {
	set := flag.NewFlagSet("check", flag.ContinueOnError)
	timeout := set.Duration("timeout", 3*time.Second, "for one attempt")
	attempts := set.Int("attempts", 1, "how often to try")
	payload := set.String("payload", "hello", "one line to send")
	found, ok := parse(set, arguments, errors, "PROTOCOL", "HOST", "PORT")
	if !ok || (found[0] != "tcp" && found[0] != "udp") {
		fmt.Fprintln(errors, "netcheck check: the protocol is tcp or udp")
		return 2
	}
	result := CheckResult{Protocol: found[0], Server: net.JoinHostPort(found[1], found[2])}
	for result.Attempts < *attempts && !result.OK {
		result.Attempts++
		begun := time.Now()
		answer, err := ask(result.Protocol, result.Server, *payload, *timeout)
		result.Milliseconds = float64(time.Since(begun).Microseconds()) / 1000
		result.Answer, result.OK, result.Error = answer, err == nil, ""
		if err != nil {
			result.Error = err.Error()
			if result.Attempts < *attempts {
				time.Sleep(min(*timeout-time.Since(begun), 200*time.Millisecond))
			}
		}
	}
	return report(out, result.OK, result)
}

// ask sends one line and reads the server's answer.
func ask(protocol, server, payload string, timeout time.Duration) (*Answer, error) {
	connection, err := net.DialTimeout(protocol, server, timeout)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(timeout))
	sent := payload
	if protocol == "tcp" {
		sent += "\n"
	}
	if _, err := connection.Write([]byte(sent)); err != nil {
		return nil, err
	}
	line, err := bufio.NewReaderSize(connection, 64<<10).ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	answer := new(Answer)
	if err := json.Unmarshal(line, answer); err != nil {
		return nil, fmt.Errorf("the answer %q is not netcheck's: %w", line, err)
	}
	if answer.Payload != payload[:min(len(payload), longestEcho)] || answer.Size != len(payload) {
		return nil, fmt.Errorf("sent %d bytes, but the server had %d (%q)", len(payload), answer.Size, answer.Payload)
	}
	return answer, nil
}
