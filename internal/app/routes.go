package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/web"
)

// routes puts every part's handlers on the server.
func (a *App) routes() error {
	pages, err := web.Handler(http.HandlerFunc(noPage))
	if err != nil {
		return err
	}
	s := a.server
	s.Handle("GET /healthz", httpd.HealthHandler())
	s.Handle("GET /readyz", httpd.ReadyHandler(a.health.Conditions))
	s.Handle("GET /metrics", a.metrics)
	s.Handle("/socket.io/", a.realtime)
	s.Handle("GET /api/v1/status", httpd.StatusHandler(a.status))
	s.Handle("GET /api/v1/openapi.json", http.HandlerFunc(serveOpenAPI))
	s.Handle("GET /api/v1/qr.svg", http.HandlerFunc(a.serveQR))
	for pattern, handler := range a.data.api.Routes() {
		s.Handle(pattern, handler)
	}
	s.OnShutdown(a.data.api.Close)
	administration := admin.API{Account: a.account, Backend: a, Allow: a.isAdmin, Log: a.log.With("part", "admin")}
	for pattern, handler := range administration.Routes() {
		s.Handle(pattern, handler)
	}
	s.Handle("/api/", s.NotFound("/api/"))
	s.Handle("/", httpd.WWW{Dir: a.wwwDir(), Next: pages})
	return nil
}

func (a *App) wwwDir() string {
	if dir := a.cfg().HTTP.WWW; dir != "" {
		return dir
	}
	return filepath.Join(a.cfg().State, "www")
}

func notFound(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, problem.New(http.StatusNotFound, "not_found", "there is nothing at "+r.URL.Path, "/ has the ways in, /docs/ the reference"))
}

// noPage answers programs that ask for a page that is not there, or want to
// write where one is.
func noPage(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		notFound(w, r)
		return
	}
	w.Header().Set("Allow", "GET, HEAD")
	problem.Write(w, problem.New(http.StatusMethodNotAllowed, "wrong_method", r.Method+" is not for "+r.URL.Path, "pages are only read; /docs/ has what can be written"))
}

func (a *App) serveQR(w http.ResponseWriter, _ *http.Request) {
	urls := a.site.Load().addressURLs()
	if len(urls) == 0 {
		problem.Write(w, problem.New(http.StatusNotFound, "no_address", "this device has no address yet", "connect it to a network"))
		return
	}
	svg, err := qrSVG(urls[0])
	if err != nil {
		problem.Write(w, problem.New(http.StatusInternalServerError, "internal", err.Error(), ""))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'")
	_, _ = w.Write(svg) // a client that has gone is no error of ours
}

// status is the answer to everybody; r may be nil.
func (a *App) status(r *http.Request) httpd.Status {
	s, cfg := a.site.Load(), a.cfg()
	now, set := a.clock.Now()
	status := httpd.Status{
		Name: cfg.Name, Wanted: cfg.Name, Host: cfg.Name, Version: a.opts.Version,
		Uptime: int64(time.Since(a.started).Seconds()), Time: now.UnixMilli(), Clock: set,
		URLs: s.urls(), Interfaces: []httpd.Interface{}, Conditions: httpd.Conditions(a.health.Conditions()),
	}
	if len(s.names) > 0 {
		status.Host = s.names[0]
		status.Name, _, _ = strings.Cut(s.names[0], ".")
	}
	status.Claim, status.Admin = "unclaimed", a.isAdmin(r)
	if a.account.Claimed() {
		status.Claim = "claimed"
	}
	if a.realtime != nil {
		status.Clients = new(a.realtime.Engine().Clients())
	}
	if a.data != nil {
		stats := a.data.store.Stats()
		status.Store = &httpd.StoreUsage{Used: stats.Bytes, Max: stats.MaxBytes}
	}
	for _, link := range s.links() {
		i := httpd.Interface{Name: link.Name, MAC: link.MAC.String(), Up: link.Up && link.Carrier, Addresses: []string{}, Source: sourceOf(link)}
		for _, addr := range link.Addrs {
			i.Addresses = append(i.Addresses, addr.Prefix.String())
		}
		status.Interfaces = append(status.Interfaces, i)
	}
	return status
}

// selfCheck asks our own front door, as a visitor would: the watchdog is fed
// only while it answers.
func (a *App) selfCheck(ctx context.Context) error {
	listeners := a.site.Load().listeners
	if len(listeners) == 0 {
		return fmt.Errorf("nothing is listened on")
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialOwn(ctx, listeners[0]) },
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		return err
	}
	if token := a.cfg().Access.Token; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking our own front door: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking our own front door: %s", resp.Status)
	}
	return nil
}

// dialOwn connects to a listener of ours. It asks nobody for an address: not
// every system knows localhost.
func dialOwn(ctx context.Context, listener netip.AddrPort) (conn net.Conn, err error) {
	targets := []netip.Addr{listener.Addr()}
	if listener.Addr().IsUnspecified() {
		targets = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	for _, addr := range targets {
		var d net.Dialer
		if conn, err = d.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, listener.Port()).String()); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// openFileLimit is the number of file descriptors that the process may have.
func openFileLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int64(min(limit.Cur, 1<<20))
}

// Status is what the daemon says about itself; see docs/protocol.md.
type Status = httpd.Status
