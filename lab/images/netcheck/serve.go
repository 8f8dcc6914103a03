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
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Answer is what the server says of one request.
type Answer struct {
	Hostname   string `json:"hostname"`    // the server's own
	Protocol   string `json:"protocol"`    // tcp or udp
	ClientIP   string `json:"client_ip"`   // source address as the server sees it
	ClientPort int    `json:"client_port"` // source port
	ServerIP   string `json:"server_ip"`   // destination address as the server sees it
	Size       int    `json:"size"`        // bytes of payload that arrived
	Payload    string `json:"payload"`     // the payload, or its first 256 bytes
}

const (
	longestLine    = 64 << 10
	longestEcho    = 256
	requestTimeout = 10 * time.Second
)

func serve(arguments []string, out, errors io.Writer) int {
	set := flag.NewFlagSet("serve", flag.ContinueOnError)
	port := set.Int("port", 8080, "TCP and UDP port")
	hostname := set.String("hostname", "", "name to answer with (otherwise the machine's)")
	if _, ok := parse(set, arguments, errors); !ok {
		return 2
	}
	server, err := listen(*port, *hostname)
	if err != nil {
		return report(out, false, map[string]any{"ok": false, "error": err.Error()})
	}
	report(out, true, map[string]any{"ok": true, "port": server.Port()})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	server.Close()
	return 0
}

// Server answers on one port of TCP and of UDP, on all addresses.
type Server struct {
	hostname string
	streams  net.Listener
	packets  []*net.UDPConn
}

// listen starts a server; port 0 chooses one, and no name means the machine's.
func listen(port int, hostname string) (*Server, error) {
	var err error
	if hostname == "" {
		if hostname, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	server := &Server{hostname: hostname}
	if server.streams, err = net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(port))); err != nil {
		return nil, err
	}
	four, err := net.ListenUDP("udp4", &net.UDPAddr{Port: server.Port()})
	if err != nil {
		server.Close()
		return nil, err
	}
	if err := wantDestination(four); err != nil {
		four.Close()
		server.Close()
		return nil, fmt.Errorf("IP_PKTINFO: %w", err)
	}
	server.packets = append(server.packets, four)
	// A host without IPv6 is no fault.
	if six, err := net.ListenUDP("udp6", &net.UDPAddr{Port: server.Port()}); err == nil {
		server.packets = append(server.packets, six)
	}
	go server.acceptStreams()
	for _, socket := range server.packets {
		go server.answerPackets(socket)
	}
	return server, nil
}

// Port is the number of the port that it answers on.
func (s *Server) Port() int { return s.streams.Addr().(*net.TCPAddr).Port }

// Close stops it.
func (s *Server) Close() {
	s.streams.Close()
	for _, socket := range s.packets {
		socket.Close()
	}
}

func (s *Server) answer(protocol string, client net.IP, clientPort int, server net.IP, payload []byte) []byte {
	answer := Answer{
		Hostname: s.hostname, Protocol: protocol, ClientIP: client.String(), ClientPort: clientPort,
		ServerIP: server.String(), Size: len(payload), Payload: string(payload[:min(len(payload), longestEcho)]),
	}
	line, _ := json.Marshal(answer)
	return append(line, '\n')
}

func (s *Server) acceptStreams() {
	for {
		connection, err := s.streams.Accept()
		if err != nil {
			return
		}
		go s.answerStream(connection)
	}
}

// answerStream answers one line; a line that begins an HTTP request is answered in HTTP.
func (s *Server) answerStream(connection net.Conn) {
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(requestTimeout))
	reader := bufio.NewReader(io.LimitReader(connection, longestLine))
	line, err := reader.ReadString('\n')
	if err != nil && line == "" {
		return // a probe that only connects
	}
	line = strings.TrimRight(line, "\r\n")
	client, server := connection.RemoteAddr().(*net.TCPAddr), connection.LocalAddr().(*net.TCPAddr)
	body := s.answer("tcp", client.IP, client.Port, server.IP, []byte(line))
	if fields := strings.Fields(line); len(fields) == 3 && strings.HasPrefix(fields[2], "HTTP/1.") {
		for header := "x"; header != "" && err == nil; {
			header, err = reader.ReadString('\n')
			header = strings.TrimRight(header, "\r\n")
		}
		fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
			"Connection: close\r\n\r\n", len(body))
	}
	connection.Write(body)
}

// answerPackets answers every datagram from the address that it was sent to, which a host with several addresses would
// not do by itself.
func (s *Server) answerPackets(socket *net.UDPConn) {
	payload, control := make([]byte, 64<<10), make([]byte, 128)
	for {
		size, controlSize, _, client, err := socket.ReadMsgUDP(payload, control)
		if err != nil {
			return
		}
		server, reply := destination(control[:controlSize])
		socket.WriteMsgUDP(s.answer("udp", client.IP, client.Port, server, payload[:size]), reply, client)
	}
}
