// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// FetchResult is what "http" prints.
type FetchResult struct {
	OK     bool   `json:"ok"`
	URL    string `json:"url"`
	Status int    `json:"status,omitempty"`
	Body   string `json:"body,omitempty"` // its first 4096 bytes
	Error  string `json:"error,omitempty"`
}

const longestBody = 4096

func fetch(arguments []string, out, errors io.Writer) int {
	set := flag.NewFlagSet("http", flag.ContinueOnError)
	timeout := set.Duration("timeout", 5*time.Second, "for the whole exchange")
	authority := set.String("ca", "", "file with the certificates to trust")
	insecure := set.Bool("insecure", false, "accept any certificate")
	token := set.String("token", "", "file with a bearer token to send")
	status := set.Int("status", 0, "status that is wanted (otherwise any 2xx)")
	found, ok := parse(set, arguments, errors, "URL")
	if !ok {
		return 2
	}
	result := FetchResult{URL: found[0]}
	if err := result.get(*timeout, *authority, *token, *insecure); err != nil {
		result.Error = err.Error()
	} else if *status != 0 {
		result.OK = result.Status == *status
	} else {
		result.OK = result.Status/100 == 2
	}
	return report(out, result.OK, result)
}

func (r *FetchResult) get(timeout time.Duration, authority, token string, insecure bool) error {
	settings := &tls.Config{InsecureSkipVerify: insecure}
	if authority != "" {
		certificates, err := os.ReadFile(authority)
		if err != nil {
			return err
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(certificates) {
			return fmt.Errorf("%s has no certificate", authority)
		}
	}
	request, err := http.NewRequest(http.MethodGet, r.URL, nil)
	if err != nil {
		return err
	}
	if token != "" {
		content, err := os.ReadFile(token)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(content)))
	}
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: settings}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	r.Status = response.StatusCode
	body, err := io.ReadAll(io.LimitReader(response.Body, longestBody))
	r.Body = string(body)
	return err
}
