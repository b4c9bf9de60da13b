package httpd

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testGuard() *Guard {
	g := NewGuard(Policy{
		AllowHosts: []string{"pi.example.org", "*.lab.example.org"},
		Origins:    []string{"https://app.example.org"},
		Allow:      []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
	})
	g.SetIdentity(Identity{
		Names:    []string{"server22.local", "Server22", "chat.local", "server22.fritz.box"},
		Addrs:    []netip.Addr{netip.MustParseAddr("192.168.1.22"), netip.MustParseAddr("fd00::22")},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
	})
	return g
}

// try sends a request past a guard and returns the status.
func try(g *Guard, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host, r.RemoteAddr = "server22.local", "192.168.1.9:4000"
	change(r)
	rec := httptest.NewRecorder()
	g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })).ServeHTTP(rec, r)
	return rec
}

func TestHost(t *testing.T) {
	for host, want := range map[string]int{
		"server22.local": 200, "SERVER22.local.": 200, "server22:8080": 200, "server22": 200, "chat.local": 200,
		"server22.fritz.box": 200, "localhost": 200, "localhost:8080": 200, "app.localhost": 200,
		"127.0.0.1": 200, "127.8.8.8:80": 200, "[::1]:8080": 200,
		"192.168.1.22": 200, "192.168.1.22:8080": 200, "[fd00::22]": 200, "[fd00::22]:80": 200,
		"pi.example.org": 200, "x.lab.example.org": 200, "10.9.9.9": 200, // where it arrived
		"evil.example": 421, "192.168.1.23": 421, "[fd00::23]": 421, "server22.local.evil.example": 421,
		"server22.evil.example": 421, "lab.example.org": 421, "": 421, "[": 421, "server22.local@evil.example": 421,
	} {
		rec := try(testGuard(), func(r *http.Request) {
			r.Host = host
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(10, 9, 9, 9), Port: 80}))
		})
		if rec.Code != want {
			t.Errorf("Host %q: answered %d; want %d", host, rec.Code, want)
		}
		if want == 421 && (rec.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(rec.Body.String(), "http.allow_hosts")) {
			t.Errorf("Host %q: the answer has no hint: %s", host, rec.Body)
		}
	}
}

func TestAccess(t *testing.T) {
	for addr, want := range map[string]int{
		"192.168.7.7:1": 200, "10.1.1.1:1": 200, "172.31.0.1:1": 200, "169.254.3.3:1": 200, "127.0.0.1:1": 200,
		"[::1]:1": 200, "[fe80::1%eth0]:1": 200, "[fd12::1]:1": 200, "[::ffff:192.168.1.9]:1": 200,
		"198.51.100.9:1": 200, // directly connected
		"203.0.113.9:1":  200, // configured
		"8.8.8.8:1":      403, "172.32.0.1:1": 403, "[2001:db8::1]:1": 403, "[::ffff:8.8.8.8]:1": 403, "nonsense": 403,
	} {
		if rec := try(testGuard(), func(r *http.Request) { r.RemoteAddr = addr }); rec.Code != want {
			t.Errorf("from %s: answered %d; want %d", addr, rec.Code, want)
		}
	}
}

func TestToken(t *testing.T) {
	g := testGuard()
	g.SetPolicy(Policy{Token: "correct-horse-battery"})
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"none":   {func(*http.Request) {}, 401},
		"wrong":  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer correct-horse-batterx") }, 401},
		"basic":  {func(r *http.Request) { r.Header.Set("Authorization", "Basic correct-horse-battery") }, 401},
		"bearer": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer correct-horse-battery") }, 200},
		"outside": {func(r *http.Request) {
			r.RemoteAddr = "8.8.8.8:1"
			r.Header.Set("Authorization", "Bearer correct-horse-battery")
		}, 200},
		"query":    {func(r *http.Request) { r.URL.RawQuery = "token=correct-horse-battery" }, 200},
		"cookie":   {func(r *http.Request) { r.AddCookie(&http.Cookie{Name: tokenCookie, Value: "correct-horse-battery"}) }, 200},
		"new host": {func(r *http.Request) { r.Host = "evil.example"; r.URL.RawQuery = "token=correct-horse-battery" }, 421},
	} {
		t.Run(name, func(t *testing.T) {
			rec := try(g, test.change)
			if rec.Code != test.want {
				t.Errorf("answered %d; want %d", rec.Code, test.want)
			}
			if kept := rec.Header().Get("Set-Cookie") != ""; kept != (name == "query") {
				t.Errorf("the token was kept: %v", kept)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	write := func(r *http.Request) { r.Method = http.MethodPost }
	socket := func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }
	poll := func(r *http.Request) { r.URL.RawQuery = "EIO=4&transport=polling" }
	read := func(*http.Request) {}
	for origin, want := range map[string]struct{ channel, read int }{
		"":                            {200, 200},
		"http://server22.local":       {200, 200},
		"http://server22.local:3000":  {200, 200},
		"https://192.168.1.22":        {200, 200},
		"http://localhost:5173":       {200, 200},
		"file://":                     {200, 200},
		"https://app.example.org":     {200, 200},
		"http://app.example.org":      {403, 200},
		"null":                        {403, 200},
		"http://evil.example":         {403, 200},
		"http://server22.local.evil":  {403, 200},
		"ftp://server22.local":        {403, 200},
		"http://192.168.1.23":         {403, 200},
		"chrome-extension://abcdefgh": {403, 200},
	} {
		for name, change := range map[string]func(*http.Request){"write": write, "socket": socket, "poll": poll} {
			if rec := tryFrom(origin, change); rec.Code != want.channel {
				t.Errorf("%s from %q: answered %d; want %d", name, origin, rec.Code, want.channel)
			}
		}
		rec := tryFrom(origin, read)
		if rec.Code != want.read {
			t.Errorf("read from %q: answered %d; want %d", origin, rec.Code, want.read)
		}
		if readable := rec.Header().Get("Access-Control-Allow-Origin") != ""; readable != (origin != "" && want.channel == 200) {
			t.Errorf("a page of %q may read the answer: %v", origin, readable)
		}
	}
}

func tryFrom(origin string, change func(*http.Request)) *httptest.ResponseRecorder {
	return try(testGuard(), func(r *http.Request) {
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		change(r)
	})
}

func TestPreflight(t *testing.T) {
	preflight := func(r *http.Request) {
		r.Method = http.MethodOptions
		r.Header.Set("Access-Control-Request-Method", "PUT")
		r.Header.Set("Access-Control-Request-Headers", "content-type")
	}
	rec := tryFrom("https://app.example.org", preflight)
	if rec.Code != http.StatusNoContent || !strings.Contains(rec.Header().Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("answered %d %v", rec.Code, rec.Header())
	}
	if rec := tryFrom("http://evil.example", preflight); rec.Code != http.StatusForbidden {
		t.Errorf("a foreign page's preflight was answered %d", rec.Code)
	}
}
