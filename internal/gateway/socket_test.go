package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"justright/internal/gateway"
)

// talker is an engine that takes WebSockets, as far as a proxy sees them: after the handshake it repeats what it is sent.
func talker(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/realtime" || r.Header.Get("Authorization") != "Bearer "+engineNo || r.Header.Get("Sec-Websocket-Key") == "" || r.Header.Get("Cookie") != "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nServer: uvicorn\r\n\r\n")
	_ = rw.Flush()
	_, _ = io.Copy(conn, rw)
}

// dial opens a WebSocket at the gateway and returns the answer to its handshake.
func (p *place) dial(path, key string) (net.Conn, *bufio.Reader, *http.Response) {
	p.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(p.t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nCookie: a=b\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n", path, key)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = resp.Body.Close() })
	return conn, r, resp
}

// A WebSocket goes through in both directions, behind the same door, and an open one is no work in itself.
func TestAWebSocketGoesThrough(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(talker))
	t.Cleanup(srv.Close)
	p := newPlace(t, gateway.Options{})
	p.serves(srv.URL)
	if _, _, resp := p.dial("/v1/realtime", "wrong"); resp.StatusCode != http.StatusUnauthorized { //nolint:bodyclose // dial closes it with the test
		t.Errorf("with a wrong key: %d", resp.StatusCode)
	}
	if _, _, resp := p.dial("/v1/realtime?model=no%2Fsuch", ourKey); resp.StatusCode != http.StatusNotFound { //nolint:bodyclose // dial closes it with the test
		t.Errorf("an unknown model: %d", resp.StatusCode)
	}
	for _, path := range []string{"/v1/realtime", "/v1/realtime?model=openai%2Fgpt-oss-20b"} {
		conn, r, resp := p.dial(path, ourKey) //nolint:bodyclose // dial closes it with the test
		if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "x" || resp.Header.Get("Server") != "" {
			t.Fatalf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
		for _, word := range []string{"\x81\x85hello", "\x00bytes\xff\n"} {
			_, _ = io.WriteString(conn, word)
			back := make([]byte, len(word))
			if _, err := io.ReadFull(r, back); err != nil || string(back) != word {
				t.Errorf("%q came back as %q, %v", word, back, err)
			}
		}
		if st := p.fleet.Status()[0]; st.InFlight != 0 || st.Served == 0 {
			t.Errorf("an open WebSocket counts as %d requests", st.InFlight)
		}
		_ = conn.Close()
	}
	if code, h, body := p.do(p.request(http.MethodGet, "/v1/realtime", "")); code != http.StatusUpgradeRequired || h.Get("Upgrade") != "websocket" || codeOf(t, body) != "websocket_required" {
		t.Errorf("without an upgrade: %d %s", code, body)
	}
}

// uvicorn answers 403 where it has no such WebSocket: the machine is well, and the client is told what is missing.
func TestAModelWithoutWebSocket(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(srv.Close)
	p := newPlace(t, gateway.Options{})
	p.serves(srv.URL)
	for range 4 {
		_, _, resp := p.dial("/v1/realtime", ourKey) //nolint:bodyclose // dial closes it with the test
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusNotFound || codeOf(t, string(body)) != "unknown_url" {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	if st := p.fleet.Status()[0]; st.Ejected || st.InFlight != 0 {
		t.Errorf("ejected %v, %d under way", st.Ejected, st.InFlight)
	}
}
