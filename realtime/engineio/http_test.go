package engineio

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/wire"
)

func TestRefusals(t *testing.T) {
	var seen []*ConnectionError
	o := Options{
		Hooks: Hooks{ConnectionError: func(e *ConnectionError) { seen = append(seen, e) }},
		AllowRequest: func(r *http.Request) error {
			if r.Header.Get("X-Deny") != "" {
				return errors.New("not today")
			}
			return nil
		},
		Origin: SameHost,
	}
	b := overTCP(t, o, newSessions(t, echo).accept)
	c, upgraded := b.connect(Polling), b.connect("upgrade")
	upgraded.say("over now")
	upgraded.wantMessages("over now")

	for _, tt := range []struct {
		name, method, query string
		header              []string
		status              int
		body, context       string
	}{
		{"no transport", "GET", "EIO=4", nil, 400, `{"code":0,"message":"Transport unknown"}`, ""},
		{"odd transport", "GET", "EIO=4&transport=pigeon", nil, 400, `{"code":0,"message":"Transport unknown"}`, ""},
		{"odd session", "GET", "EIO=4&transport=polling&sid=__proto__", nil, 400, `{"code":1,"message":"Session ID unknown"}`, ""},
		{"odd session, POST", "POST", "EIO=4&transport=polling&sid=x", nil, 400, `{"code":1,"message":"Session ID unknown"}`, ""},
		{"POST to begin", "POST", "EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`, "METHOD"},
		{"PUT to begin", "PUT", "EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`, "METHOD"},
		{"websocket without upgrade", "GET", "EIO=4&transport=websocket", nil, 400, `{"code":3,"message":"Bad request"}`, "TRANSPORT_HANDSHAKE_ERROR"},
		{"polling on an upgraded session", "GET", "EIO=4&transport=polling&sid=" + upgraded.sid, nil, 400, `{"code":3,"message":"Bad request"}`, "TRANSPORT_MISMATCH"},
		{"POST on an upgraded session", "POST", "EIO=4&transport=polling&sid=" + upgraded.sid, nil, 400, `{"code":3,"message":"Bad request"}`, "TRANSPORT_MISMATCH"},
		{"upgrade that is none", "GET", "EIO=4&transport=websocket&sid=" + c.sid, nil, 400, `{"code":3,"message":"Bad request"}`, "TRANSPORT_MISMATCH"},
		{"denied", "GET", "EIO=4&transport=polling", []string{"X-Deny", "1"}, 403, `{"code":4,"message":"not today"}`, ""},
		{"foreign origin", "GET", "EIO=4&transport=polling", []string{"Origin", "https://evil.example"}, 403, `{"code":4,"message":"Forbidden"}`, "INVALID_ORIGIN"},
		{"version 3", "GET", "EIO=3&transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`, ""},
		{"no version", "GET", "transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`, ""},
		{"odd version", "GET", "EIO=abc&transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`, ""},
		{"other method", "DELETE", "EIO=4&transport=polling&sid=" + c.sid, nil, 405, `{"code":3,"message":"Bad request"}`, "METHOD"},
		{"websocket, odd version", "GET", "EIO=9&transport=websocket", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, 400, "Unsupported protocol version", ""},
		{"websocket, odd session", "GET", "EIO=4&transport=websocket&sid=x", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, 400, "Session ID unknown", ""},
		{"websocket without a key", "GET", "EIO=4&transport=websocket", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, 400, "Bad request", "WEBSOCKET_HANDSHAKE"},
		{"websocket of another kind", "GET", "EIO=4&transport=websocket", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "8"}, 426, "Bad request", "WEBSOCKET_HANDSHAKE"},
		{"websocket with a short key", "GET", "EIO=4&transport=websocket", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "dGhl", "Sec-WebSocket-Version", "13"}, 400, "Bad request", "WEBSOCKET_HANDSHAKE"},
		{"upgrade of polling", "GET", "EIO=4&transport=polling", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, 400, "Bad request", "TRANSPORT_MISMATCH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen = nil
			status, body, _ := b.do(tt.method, tt.query, tt.header, "")
			if status != tt.status || body != tt.body {
				t.Errorf("answered %d %s, want %d %s", status, body, tt.status, tt.body)
			}
			if len(seen) != 1 || seen[0].Context != tt.context || seen[0].Error() == "" {
				t.Errorf("hook saw %v, want context %q", seen, tt.context)
			}
		})
	}
	c.say("still alive")
	c.wantMessages("still alive")
	upgraded.say("so am I")
	upgraded.wantMessages("so am I")
}

// do makes a request and returns status, body and headers.
func (b *bench) do(method, query string, header []string, body string) (int, string, http.Header) {
	b.t.Helper()
	r, err := http.NewRequest(method, "http://server/engine.io/?"+query, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	answer, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

func TestOriginsThatPass(t *testing.T) {
	b := overTCP(t, Options{Origin: SameHost}, newSessions(t, nil).accept)
	for _, origin := range []string{"http://server", "https://server", "file://"} {
		if status, body, _ := b.do("GET", "EIO=4&transport=polling", []string{"Origin", origin}, ""); status != 200 {
			t.Errorf("origin %s: %d %s", origin, status, body)
		}
	}
	if _, err := b.tryWebSocket("", http.Header{"Origin": {"null"}}); err == nil {
		t.Error("origin null passes")
	}
}

func TestOverlappingPolls(t *testing.T) {
	all := newSessions(t, nil)
	c := overTCP(t, Options{}, all.accept).connect(Polling)
	r := all.next()
	first := make(chan string)
	go func() {
		_, body, _, _ := c.tryPoll()
		first <- string(body)
	}()
	for !r.s.Writable() {
		time.Sleep(time.Millisecond)
	}
	if status, body, _, _ := c.tryPoll(); status != 400 {
		t.Errorf("second poll answered %d %s", status, body)
	}
	if body := <-first; body != "1" {
		t.Errorf("first poll answered %q, want the close packet", body)
	}
	r.wantClosed(ReasonTransportError)
	if status, _, _, _ := c.tryPoll(); status != 400 {
		t.Errorf("poll afterwards answered %d", status)
	}
}

func TestOverlappingPosts(t *testing.T) {
	all := newSessions(t, nil)
	c := overTCP(t, Options{}, all.accept).connect(Polling)
	slow, rest := io.Pipe()
	first := make(chan error)
	go func() {
		_, _, err := c.post("text/plain", slow)
		first <- err
	}()
	rest.Write([]byte("4be"))
	for posting := false; !posting; time.Sleep(time.Millisecond) {
		s := c.engine.session(c.sid)
		s.mu.Lock()
		posting = s.posting
		s.mu.Unlock()
	}
	if status, body, _ := c.post("text/plain", strings.NewReader("4x")); status != 400 {
		t.Errorf("second POST answered %d %s", status, body)
	}
	rest.Close()
	<-first
	all.next().wantClosed(ReasonTransportError)
}

func TestBadPosts(t *testing.T) {
	for name, tt := range map[string]struct {
		contentType, body string
		status            int
		reason            Reason // "" if the session goes on
	}{
		"malformed":          {"text/plain", "abc", 400, ReasonParseError},
		"empty":              {"text/plain", "", 400, ReasonParseError},
		"malformed base64":   {"text/plain", "bA?==", 400, ReasonParseError},
		"invalid UTF-8":      {"text/plain", "4\xff\xfe", 400, ReasonParseError},
		"binary in version4": {"application/octet-stream", "4x", 400, ReasonTransportError},
		"too large":          {"text/plain", "4" + strings.Repeat("x", 1000), 413, ""},
		"just fits":          {"text/plain", "4" + strings.Repeat("x", 999), 200, ""},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked: %t", name, chunked), func(t *testing.T) {
				all := newSessions(t, nil)
				c := overTCP(t, Options{MaxPayload: 1000}, all.accept).connect(Polling)
				var body io.Reader = strings.NewReader(tt.body)
				if chunked {
					body = io.MultiReader(body) // of a length that http does not know
				}
				status, answer, err := c.post(tt.contentType, body)
				if err != nil || status != tt.status {
					t.Errorf("answered %d %s (%v), want %d", status, answer, err, tt.status)
				}
				if status == 413 && answer != "" {
					t.Errorf("413 with a body: %q", answer)
				}
				if tt.reason != "" {
					all.next().wantClosed(tt.reason)
				} else {
					c.say("goes on")
				}
			})
		}
	}
}

// TestSlowBody gives up on a client that begins a POST and does not finish it.
func TestSlowBody(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{PingTimeout: 50 * time.Millisecond}, all.accept)
	c := b.connect(Polling)
	nc, err := b.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprintf(nc, "POST /?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4abc", c.sid)
	all.next().wantClosed(ReasonTransportError)
	if r, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil || r.StatusCode != 400 {
		t.Errorf("answered %v, %v", r, err)
	}
}

func TestMalformedWebSocketPackets(t *testing.T) {
	for _, packet := range []string{"", "x", "7", "9hello", "bA?="} {
		all := newSessions(t, nil)
		c := overTCP(t, Options{}, all.accept).connect(WebSocket)
		c.must(c.ws.WriteMessage(websocket.TextMessage, []byte(packet)))
		all.next().wantClosed(ReasonParseError)
		c.end()
	}
}

func TestCookie(t *testing.T) {
	b := overTCP(t, Options{Cookie: &Cookie{}}, newSessions(t, nil).accept)
	_, body, h := b.do("GET", "EIO=4&transport=polling", nil, "")
	sid := body[len(`0{"sid":"`):][:22]
	if got, want := h.Get("Set-Cookie"), "io="+sid+"; Path=/; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("cookie %q, want %q", got, want)
	}
	if _, _, h := b.do("POST", "EIO=4&transport=polling&sid="+sid, nil, "4x"); h.Get("Set-Cookie") != "" {
		t.Error("cookie sent after the handshake")
	}
}

func TestCORS(t *testing.T) {
	cors := &CORS{Origins: []string{"https://a.example"}, Credentials: true, MaxAge: time.Hour}
	b := overTCP(t, Options{CORS: cors}, newSessions(t, nil).accept)
	for origin, want := range map[string]string{"https://a.example": "https://a.example", "https://b.example": "", "": ""} {
		_, _, h := b.do("GET", "EIO=4&transport=polling", []string{"Origin", origin}, "")
		if got := h.Get("Access-Control-Allow-Origin"); got != want || h.Get("Vary") != "Origin" {
			t.Errorf("origin %q: allowed %q, Vary %q", origin, got, h.Get("Vary"))
		}
	}
	status, body, h := b.do("OPTIONS", "EIO=4&transport=polling&sid=x",
		[]string{"Origin", "https://a.example", "Access-Control-Request-Headers", "x-token"}, "")
	if status != 204 || body != "" || h.Get("Access-Control-Allow-Headers") != "x-token" ||
		h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Access-Control-Max-Age") != "3600" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("preflight answered %d %q %v", status, body, h)
	}
}

func TestCompressedPolls(t *testing.T) {
	text := strings.Repeat("compressible ", 200)
	for coding, open := range map[string]func(io.Reader) (io.Reader, error){
		"gzip":    func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"deflate": func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
		"br":      func(r io.Reader) (io.Reader, error) { return r, nil },
	} {
		all := newSessions(t, nil)
		b := overTCP(t, Options{}, all.accept)
		c := b.connect(Polling)
		all.next().s.Send(textPacket(text), SendOptions{})
		_, body, h := b.do("GET", "EIO=4&transport=polling&sid="+c.sid, []string{"Accept-Encoding", coding + ", identity;q=0.5"}, "")
		if got := h.Get("Content-Encoding"); got != strings.TrimPrefix(coding, "br") {
			t.Errorf("%s: encoded as %q", coding, got)
		}
		r, err := open(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(r); err != nil || string(plain) != "4"+text {
			t.Errorf("%s: %d bytes, %v", coding, len(plain), err)
		}
	}
}

// TestUncompressedPoll: if nothing in an answer is to be compressed, it is not.
func TestUncompressedPoll(t *testing.T) {
	text := strings.Repeat("compressible ", 200)
	for last, want := range map[SendOptions]string{{Uncompressed: true}: "", {}: "gzip"} {
		all := newSessions(t, nil)
		b := overTCP(t, Options{}, all.accept)
		c := b.connect(Polling)
		s := all.next().s
		s.Send(textPacket(text), SendOptions{Uncompressed: true})
		s.Send(textPacket(text), last)
		_, _, h := b.do("GET", "EIO=4&transport=polling&sid="+c.sid, []string{"Accept-Encoding", "gzip"}, "")
		if got := h.Get("Content-Encoding"); got != want {
			t.Errorf("sent with %+v, encoded as %q", last, got)
		}
	}
}

func TestJSONP(t *testing.T) {
	all := newSessions(t, echo)
	b := overTCP(t, Options{AllowEIO3: true}, all.accept)
	_, body, h := b.do("GET", "EIO=3&transport=polling&j=7", nil, "")
	if !strings.HasPrefix(body, `___eio[7]("`) || !strings.HasSuffix(body, `");`) ||
		h.Get("Content-Type") != "text/javascript; charset=UTF-8" {
		t.Fatalf("handshake %q (%s)", body, h.Get("Content-Type"))
	}
	_, sid, _ := strings.Cut(body, `sid\":\"`)
	query := "EIO=3&transport=polling&j=8&sid=" + sid[:22]
	// An old client writes a line feed as \n and a backslash before an n as two.
	form := url.Values{"d": {`12:4a\nb\\nc` + "\u2028</x>"}}.Encode()
	if status, answer, _ := b.do("POST", query, []string{"Content-Type", "application/x-www-form-urlencoded"}, form); status != 200 {
		t.Fatalf("posting: %d %s", status, answer)
	}
	_, body, _ = b.do("GET", query, nil, "")
	if want := `___eio[8]("12:4a\nb\\nc\u2028\u003c/x\u003e");`; body != want {
		t.Errorf("poll %s, want %s", body, want)
	}
	if status, _, _ := b.do("GET", "EIO=3&transport=polling&j=alert(1)", nil, ""); status != 200 {
		t.Errorf("an index that is no number: %d", status)
	} else if strings.Contains(body, "alert") {
		t.Error("the index is echoed though it is no number")
	}
}

// TestVersion3Base64 keeps to base64 for the whole session if the handshake
// asked for it.
func TestVersion3Base64(t *testing.T) {
	for query, want := range map[string]string{"": "\x01\x04\xff\x04abc", "&b64=1": "6:b4YWJj"} {
		all := newSessions(t, nil)
		b := overTCP(t, Options{AllowEIO3: true}, all.accept)
		b.eio, b.query = wire.V3, query
		c := b.connect(Polling)
		b.query = ""
		all.next().s.Send(NewPacket(Message{Data: []byte("abc"), Binary: true}), SendOptions{})
		if _, body, _, err := c.tryPoll(); err != nil || string(body) != want {
			t.Errorf("%q: %q, %v; want %q", query, body, err, want)
		}
	}
}

func TestHandshake(t *testing.T) {
	o := Options{
		PingInterval: 7 * time.Second,
		PingTimeout:  3 * time.Second,
		MaxPayload:   12345,
		Initial:      textPacket("welcome"),
		GenerateID:   func(r *http.Request) (string, error) { return r.Header.Get("X-Id"), nil },
	}
	all := newSessions(t, nil)
	b := overTCP(t, o, all.accept)
	want := `0{"sid":"a\"b","upgrades":["websocket"],"pingInterval":7000,"pingTimeout":3000,"maxPayload":12345}` + "\x1e4welcome"
	if _, body, h := b.do("GET", "EIO=4&transport=polling", []string{"X-Id", `a"b`}, ""); body != want ||
		h.Get("Content-Type") != "text/plain; charset=UTF-8" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("handshake %q, %v", body, h)
	}
	if status, _, _ := b.do("GET", "EIO=4&transport=polling", []string{"X-Id", `a"b`}, ""); status != 400 {
		t.Errorf("id twice: %d", status)
	}
	r := all.next()
	if r.s.Request().Header.Get("X-Id") == "" || r.s.Protocol() != 4 || r.s.Transport() != Polling || r.s.RemoteAddr() == "" {
		t.Errorf("socket: %v", r.s.Request())
	}
}

// TestNotAccepted refuses sessions that the application does not want.
func TestNotAccepted(t *testing.T) {
	b := overTCP(t, Options{}, func(*Socket) Receiver { return nil })
	if status, _, _ := b.do("GET", "EIO=4&transport=polling", nil, ""); status != 400 {
		t.Errorf("polling answered %d", status)
	}
	ws := b.dialWebSocket("")
	if _, _, err := ws.ReadMessage(); err == nil {
		t.Error("WebSocket goes on")
	}
	for b.engine.Clients() > 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestTransportsOption(t *testing.T) {
	b := overTCP(t, Options{Transports: []string{Polling}}, newSessions(t, echo).accept)
	if c := b.connect(Polling); len(c.open.Upgrades) != 0 {
		t.Errorf("upgrades %v without WebSocket", c.open.Upgrades)
	}
	if _, err := b.tryWebSocket("", nil); err == nil {
		t.Error("WebSocket served though it is off")
	}
	b = overTCP(t, Options{NoUpgrades: true}, newSessions(t, echo).accept)
	c := b.connect(Polling)
	if len(c.open.Upgrades) != 0 {
		t.Errorf("upgrades %v though they are off", c.open.Upgrades)
	}
	ws := c.dialWebSocket(c.sid)
	if _, _, err := ws.ReadMessage(); err == nil {
		t.Error("upgrade goes on though it is off")
	}
	c.say("by polling")
	c.wantMessages("by polling")
}

// TestSubprotocol echoes the first subprotocol, as browsers want it.
func TestSubprotocol(t *testing.T) {
	b := overTCP(t, Options{}, newSessions(t, nil).accept)
	ws, err := b.tryWebSocket("", http.Header{"Sec-Websocket-Protocol": {"arduino, other"}})
	if err != nil || ws.Subprotocol() != "arduino" {
		t.Errorf("subprotocol %q, %v", ws.Subprotocol(), err)
	}
}

// TestMicrocontroller does byte for byte what the WebSocket library of ESP32
// and ESP8266 does: it polls once, looks for the session id in what it reads,
// upgrades on the same connection, and takes over without a probe.
func TestMicrocontroller(t *testing.T) {
	for _, eio := range []string{"4", "3"} {
		all := newSessions(t, echo)
		b := overTCP(t, Options{AllowEIO3: true}, all.accept)
		nc, err := b.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		fmt.Fprintf(nc, "GET /socket.io/?EIO=%s&transport=polling HTTP/1.1\r\nHost: 192.168.4.1:80\r\n"+
			"Origin: file://\r\nUser-Agent: arduino-WebSocket-Client\r\nConnection: keep-alive\r\n\r\n", eio)
		var poll [256]byte
		n, err := nc.Read(poll[:])
		if err != nil {
			t.Fatal(err)
		}
		read := string(poll[:n])
		for !strings.Contains(read, "}") {
			n, err := nc.Read(poll[:])
			if err != nil {
				t.Fatal(err)
			}
			read += string(poll[:n])
		}
		_, after, found := strings.Cut(read, `"sid":"`)
		sid, _, _ := strings.Cut(after, `"`)
		if !found || sid == "" {
			t.Fatalf("no session id in %q", read)
		}
		fmt.Fprintf(nc, "GET /socket.io/?EIO=%s&transport=websocket&sid=%s HTTP/1.1\r\nHost: 192.168.4.1:80\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: arduino\r\n"+
			"Origin: file://\r\nUser-Agent: arduino-WebSocket-Client\r\n\r\n", eio, sid)
		br := bufio.NewReader(nc)
		answer, err := http.ReadResponse(br, nil)
		if err != nil || answer.StatusCode != 101 || answer.Header.Get("Sec-Websocket-Protocol") != "arduino" ||
			answer.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("upgrade answered %v, %v", answer, err)
		}
		// "5", then "40/" right behind, each masked with zeros as the library may.
		nc.Write([]byte("\x81\x81\x00\x00\x00\x005\x81\x83\x00\x00\x00\x0040/"))
		var frame [5]byte
		if _, err := io.ReadFull(br, frame[:]); err != nil || !bytes.Equal(frame[:], []byte("\x81\x0340/")) {
			t.Errorf("frame %q, %v", frame, err)
		}
		if s := all.next().s; s.Transport() != WebSocket {
			t.Errorf("transport is %s", s.Transport())
		}
	}
}

// TestServerTimeouts has polls and handlers take longer than the http.Server
// allows ordinary requests.
func TestServerTimeouts(t *testing.T) {
	all := newSessions(t, func(s *Socket, m Message) {
		time.Sleep(150 * time.Millisecond)
		echo(s, m)
	})
	engine := NewServer(Options{}, all.accept)
	server := httptest.NewUnstartedServer(engine)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	server.Start()
	defer server.Close()
	defer engine.Close()
	b := &bench{t: t, engine: engine, eio: wire.V4}
	b.dial = func() (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) }
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return b.dial() }}
	defer transport.CloseIdleConnections()
	b.http = &http.Client{Transport: transport}
	for _, mode := range modes {
		c := b.connect(mode)
		s := all.next().s
		time.AfterFunc(150*time.Millisecond, func() { s.Send(textPacket("after a while"), SendOptions{}) })
		c.wantMessages("after a while")
		c.say("handled slowly")
		c.wantMessages("handled slowly")
	}
}

// TestAcceptCloses ends sessions while they are being accepted.
func TestAcceptCloses(t *testing.T) {
	all := newSessions(t, nil)
	b := overTCP(t, Options{}, func(s *Socket) Receiver {
		s.Send(textPacket("you are not welcome"), SendOptions{})
		s.Close(ReasonForcedClose)
		time.Sleep(time.Millisecond)
		return all.accept(s)
	})
	for _, mode := range modes[:2] {
		c := b.connect(mode)
		c.wantMessages("you are not welcome")
		if c.end() == nil {
			t.Errorf("%s goes on", mode)
		}
		all.next().wantClosed(ReasonForcedClose)
	}
}
