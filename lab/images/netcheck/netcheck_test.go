// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// command runs netcheck as a person would and returns its status and its line of JSON.
func command(t *testing.T, result any, arguments ...string) int {
	t.Helper()
	var out, errors bytes.Buffer
	status := run(arguments, &out, &errors)
	if result != nil {
		if err := json.Unmarshal(out.Bytes(), result); err != nil {
			t.Fatalf("%v printed %q (%v), errors %q", arguments, out.String(), err, errors.String())
		}
	}
	return status
}

func server(t *testing.T) string {
	t.Helper()
	server, err := listen(0, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return strconv.Itoa(server.Port())
}

func TestCheckSaysWhatTheServerSaw(t *testing.T) {
	port := server(t)
	hostname, _ := os.Hostname()
	for _, protocol := range []string{"tcp", "udp"} {
		for _, address := range []string{"127.0.0.1", "127.0.0.2"} {
			var result CheckResult
			if status := command(t, &result, "check", protocol, address, port, "--payload", "hi"); status != 0 {
				t.Fatalf("%s %s: status %d, %+v", protocol, address, status, result)
			}
			got := *result.Answer
			if got.ClientPort == 0 {
				t.Errorf("%s %s: no client port", protocol, address)
			}
			got.ClientPort = 0
			want := Answer{Hostname: hostname, Protocol: protocol, ClientIP: address, ServerIP: address, Size: 2, Payload: "hi"}
			if protocol == "tcp" || address == "127.0.0.1" {
				want.ClientIP = got.ClientIP // the kernel chooses it
			}
			if got.ServerIP != address || got != want && protocol == "tcp" {
				t.Errorf("%s %s: %+v, not %+v", protocol, address, got, want)
			}
		}
	}
}

func TestCheckFailsWithoutServer(t *testing.T) {
	port := unusedPort(t)
	for _, protocol := range []string{"tcp", "udp"} {
		var result CheckResult
		status := command(t, &result, "check", protocol, "127.0.0.1", port, "--timeout=100ms", "--attempts=2")
		if status != 1 || result.OK || result.Error == "" || result.Attempts != 2 {
			t.Errorf("%s: status %d, %+v", protocol, status, result)
		}
	}
}

func unusedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

func TestServerSpeaksHTTP(t *testing.T) {
	port := server(t)
	var result FetchResult
	if status := command(t, &result, "http", "http://127.0.0.1:"+port+"/ready"); status != 0 || result.Status != 200 {
		t.Fatalf("status %d, %+v", status, result)
	}
	if !strings.Contains(result.Body, "GET /ready HTTP/1.1") {
		t.Errorf("body %q", result.Body)
	}
}

func TestMTUIsTheInterfaces(t *testing.T) {
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip("no interface lo")
	}
	port := server(t)
	for _, limit := range []int{600, 1400} {
		var result MTUResult
		status := command(t, &result, "mtu", "127.0.0.1", port, "--max", strconv.Itoa(limit))
		if want := min(limit, loopback.MTU); status != 0 || result.Packet != want || result.Payload != want-28 {
			t.Errorf("limit %d: status %d, %+v", limit, status, result)
		}
	}
}

func TestMTUFailsWithoutServer(t *testing.T) {
	var result MTUResult
	if status := command(t, &result, "mtu", "127.0.0.1", unusedPort(t), "--timeout=20ms"); status != 1 || result.OK {
		t.Errorf("status %d, %+v", status, result)
	}
}

func TestHTTPTrustsOnlyTheGivenAuthority(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer abc" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(secure.Close)
	folder := t.TempDir()
	authority, token := filepath.Join(folder, "ca.crt"), filepath.Join(folder, "token")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	for path, content := range map[string][]byte{authority: certificate, token: []byte("abc\n")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		options []string
		status  int
		answer  int
	}{
		{nil, 1, 0},
		{[]string{"--ca", authority, "--token", token}, 0, 200},
		{[]string{"--insecure", "--token", token}, 0, 200},
		{[]string{"--insecure"}, 1, 401},
		{[]string{"--insecure", "--status=401"}, 0, 401},
		{[]string{"--ca", token}, 1, 0},
	}
	for _, c := range cases {
		var result FetchResult
		status := command(t, &result, append([]string{"http", secure.URL}, c.options...)...)
		if status != c.status || result.Status != c.answer {
			t.Errorf("%v: status %d, %+v", c.options, status, result)
		}
	}
}

func TestWrongUse(t *testing.T) {
	for _, arguments := range [][]string{{}, {"fly"}, {"check", "icmp", "a", "1"}, {"check", "tcp"}, {"mtu"}, {"http"}} {
		if status := command(t, nil, arguments...); status != 2 {
			t.Errorf("%v: status %d", arguments, status)
		}
	}
}

func TestPauseEndsWhenTold(t *testing.T) {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // or an early one would end the test
	ended := make(chan int, 1)
	go func() { ended <- pause(nil, nil, nil) }()
	for range 100 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		select {
		case status := <-ended:
			if status != 0 {
				t.Errorf("status %d", status)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("did not end")
}
