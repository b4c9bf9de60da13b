package httpd

import (
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"server22.local/appliance/internal/problem"
)

// Policy is who may come in beyond the name and the page that they come by.
type Policy struct {
	AllowHosts []string       // further host names; *.example.org means those below it
	Origins    []string       // further origins
	Allow      []netip.Prefix // networks to treat as local
	Token      string         // if set, everybody must bring it, from anywhere
}

// Guard looks at each request before anything else does. Safe for concurrent
// use, and for changes while requests are served.
type Guard struct {
	identity atomic.Pointer[Identity]
	policy   atomic.Pointer[Policy]
}

// NewGuard returns a guard of a host without a name, which only answers to
// loopback addresses.
func NewGuard(policy Policy) *Guard {
	g := &Guard{}
	g.SetIdentity(Identity{})
	g.SetPolicy(policy)
	return g
}

// SetIdentity says what the host is called from now on.
func (g *Guard) SetIdentity(id Identity) {
	for i, name := range id.Names {
		id.Names[i] = canonicalHost(name)
	}
	g.identity.Store(&id)
}

// Identity returns what was set last.
func (g *Guard) Identity() Identity { return *g.identity.Load() }

// SetPolicy says who may come in from now on.
func (g *Guard) SetPolicy(p Policy) { g.policy.Store(&p) }

// Wrap returns a handler that hands on what may pass.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// In this order: a foreign name is refused before anything else of the
		// request is looked at.
		for _, check := range []func(*http.Request) *problem.Problem{g.checkHost, g.checkAccess, g.checkOrigin} {
			if p := check(r); p != nil {
				problem.Write(w, *p)
				return
			}
		}
		if g.answerCORS(w, r) {
			return
		}
		g.keepToken(w, r)
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses names that are not ours: a page of a stranger whose name
// was pointed at our address (DNS rebinding) would be of our origin otherwise.
func (g *Guard) checkHost(r *http.Request) *problem.Problem {
	if r.Host == "" && r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		return nil // HTTP/1.0: no browser
	}
	host := hostOf(r.Host)
	if g.isOurs(host) || isLocalAddr(r, host) {
		return nil
	}
	p := problem.New(http.StatusMisdirectedRequest, "foreign_host",
		fmt.Sprintf("%q is not a name or address of this device", host), g.hostHint())
	return &p
}

func (g *Guard) hostHint() string {
	names := g.identity.Load().Names
	if len(names) == 0 {
		return "if it should be, add it to http.allow_hosts"
	}
	return "open http://" + names[0] + "/, or add it to http.allow_hosts if that name should work too"
}

func (g *Guard) isOurs(host string) bool {
	if g.identity.Load().isOwnHost(host) {
		return true
	}
	name := canonicalHost(strings.Trim(host, "[]"))
	return slices.ContainsFunc(g.policy.Load().AllowHosts, func(allowed string) bool {
		allowed = canonicalHost(strings.Trim(allowed, "[]"))
		if suffix, wild := strings.CutPrefix(allowed, "*"); wild {
			return strings.HasSuffix(name, suffix)
		}
		return name == allowed
	})
}

// isLocalAddr reports whether the host is the address at which this very
// connection arrived: a new address may be used before we were told of it.
func isLocalAddr(r *http.Request, host string) bool {
	addr, ok := parseIPLiteral(host)
	local, isTCP := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && isTCP && local.AddrPort().Addr().WithZone("").Unmap() == addr
}

// Admits says whether a client of another protocol may come in, by the same
// rules: by the address where the policy is the LAN, else by the token.
func (g *Guard) Admits(from netip.Addr, token string) bool {
	policy := g.policy.Load()
	if policy.Token != "" {
		return isToken(token, policy.Token)
	}
	return g.isNear(from, policy)
}

// isNear reports whether an address is on the LAN, or taken for one that is.
func (g *Guard) isNear(addr netip.Addr, policy *Policy) bool {
	return g.identity.Load().isLocal(addr) || slices.ContainsFunc(policy.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func isToken(given, want string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}

// checkAccess refuses clients from outside the LAN, or without the token.
func (g *Guard) checkAccess(r *http.Request) *problem.Problem {
	policy := g.policy.Load()
	if policy.Token != "" {
		if hasToken(r, policy.Token) {
			return nil
		}
		p := problem.New(http.StatusUnauthorized, "token_needed", "this device asks for its access token",
			"send it as 'Authorization: Bearer TOKEN', or open the page once with ?token=TOKEN; 'appliance url' prints it")
		return &p
	}
	addr := remoteAddr(r)
	if g.isNear(addr, policy) {
		return nil
	}
	p := problem.New(http.StatusForbidden, "not_local", fmt.Sprintf("%v is not on the local network", addr),
		"add its network to access.allow, or set access.policy = \"token\"")
	return &p
}

// tokenCookie keeps a page's token after its first request.
const tokenCookie = "appliance_token"

func hasToken(r *http.Request, want string) bool {
	given := []string{r.URL.Query().Get("token")}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		given = append(given, bearer)
	}
	if cookie, err := r.Cookie(tokenCookie); err == nil {
		given = append(given, cookie.Value)
	}
	return slices.ContainsFunc(given, func(token string) bool { return isToken(token, want) })
}

// keepToken gives a browser that opened a page with ?token= the cookie for the
// requests that its scripts will make.
func (g *Guard) keepToken(w http.ResponseWriter, r *http.Request) {
	want := g.policy.Load().Token
	if want == "" || r.URL.Query().Get("token") != want || r.Method != http.MethodGet {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: tokenCookie, Value: want, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: 365 * 24 * 3600,
	})
}

// checkOrigin refuses what a foreign page makes a browser send: writes, and
// whatever opens a channel. Plain reads pass, since a foreign page cannot see
// their answers.
func (g *Guard) checkOrigin(r *http.Request) *problem.Problem {
	origin := r.Header.Get("Origin")
	if origin == "" || g.allowsOrigin(origin) || !opensChannel(r) && isSafe(r.Method) {
		return nil
	}
	p := problem.New(http.StatusForbidden, "foreign_origin",
		fmt.Sprintf("pages of %s may not talk to this device", origin), "add it to http.origins")
	return &p
}

func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead
}

// opensChannel reports whether even a GET gives a page more than it could read
// otherwise: WebSockets are not bound by CORS, and a poll is half a socket.
func opensChannel(r *http.Request) bool {
	return r.Header.Get("Upgrade") != "" || r.URL.Query().Get("transport") != "" || r.Method == http.MethodOptions
}

// allowsOrigin lets in our own pages at any port, those that were configured,
// and file://, as microcontrollers' WebSocket libraries send it. "null" is
// what sandboxed frames of anybody send.
func (g *Guard) allowsOrigin(origin string) bool {
	if origin == "file://" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if slices.ContainsFunc(g.policy.Load().Origins, func(allowed string) bool {
		return strings.EqualFold(strings.TrimSuffix(allowed, "/"), origin)
	}) {
		return true
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	return g.isOurs(hostOf(u.Host))
}

// answerCORS lets pages of allowed origins read the answers, and answers their
// browsers' preflight requests. It reports whether the request was one.
func (g *Guard) answerCORS(w http.ResponseWriter, r *http.Request) (preflight bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || !g.allowsOrigin(origin) {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// remoteAddr is the address that a request came from, without zone and
// without the mapping of IPv4 into IPv6.
func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().WithZone("").Unmap()
}
