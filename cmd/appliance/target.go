package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/realtime/client"
)

// target is the appliance that a verb talks to as any client does: the one on
// this machine, or the one of --url.
type target struct {
	url     string
	token   string
	timeout time.Duration // of the whole verb; 0 is none
}

// addFlags adds the flags of verbs that have a target.
func (t *target) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&t.url, "url", "u", os.Getenv("APPLIANCE_URL"), "`URL` of the appliance (default: the one on this machine, else that of the configured name)")
	cmd.Flags().VarP(seconds{&t.timeout}, "timeout", "W", "give up after this `TIME`, as in 10 (seconds) or 1m, and exit with 124")
}

// bound gives the context of a verb its time.
func (t *target) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, t.timeout, errTimeout)
}

var errTimeout = errors.New("nothing came in time")

// resolve finds out where the appliance is, and the token that lets us in.
func (inv *invocation) resolve(ctx context.Context, t *target) {
	name, token := "server22", ""
	if loaded, err := config.Load(inv.sources()); err == nil {
		name, token = loaded.Name, loaded.Access.Token
	}
	if t.url != "" {
		if !strings.Contains(t.url, "://") {
			t.url = "http://" + t.url
		}
		t.token = tokenFor(t.url, token)
		return
	}
	t.url, t.token = "http://"+name+".local/", token
	if status, err := inv.status(ctx); err == nil {
		if address, ok := app.AddressURL(status.URLs); ok {
			t.url = address
		}
	}
}

// tokenFor is what we show to an appliance that somebody has named: the token in
// its URL, as 'appliance url' prints it, or that of the environment. Ours is
// for this machine: another one must not learn it.
func tokenFor(address, ours string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if token := u.Query().Get("token"); token != "" {
		return token
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
		return ours
	}
	return os.Getenv("APPLIANCE_ACCESS_TOKEN")
}

// options are how we come in: by name or address, with the token, and given up
// after a few seconds, as nobody waits longer for a command.
func (t *target) options() client.Options {
	o := client.Options{Timeout: 10 * time.Second, Header: http.Header{}, DialContext: dial}
	if t.token != "" {
		o.Header.Set("Authorization", "Bearer "+t.token)
	}
	return o
}

// namespace is the URL of a namespace of the appliance.
func (t *target) namespace(name string) (string, error) {
	u, err := url.Parse(t.url)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) {
		return "", usage(fmt.Errorf("%q is not a URL of an appliance", t.url), "as in --url http://server22.local/")
	}
	u.Path, u.RawQuery = name, "" // a token goes in a header
	return u.String(), nil
}

// reconnectDelay is shorter than a page's: somebody looks at a terminal.
const reconnectDelay = 500 * time.Millisecond

// newClient returns one that connects when it is told to, and from then on
// comes back by itself.
func (inv *invocation) newClient(ctx context.Context, t *target) (*client.Client, error) {
	inv.resolve(ctx, t)
	base, err := t.namespace("")
	if err != nil {
		return nil, err
	}
	options := t.options()
	options.ReconnectDelay = reconnectDelay
	c, err := client.New(base, options)
	if err != nil {
		return nil, usage(err, "as in --url http://server22.local/")
	}
	return c, nil
}

// dial connects to a namespace.
func (inv *invocation) dial(ctx context.Context, t *target, namespace string) (*client.Socket, error) {
	inv.resolve(ctx, t)
	at, err := t.namespace(namespace)
	if err != nil {
		return nil, err
	}
	socket, err := client.Dial(ctx, at, t.options())
	if err != nil {
		return nil, t.failure(ctx, err)
	}
	return socket, nil
}

// ended is what the end of a verb's context means: a failure where its time is
// over, and nothing where somebody pressed Ctrl-C.
func ended(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		return &failure{exitTimeout, errTimeout, ""}
	}
	return nil
}

// failure gives an error on the way to the appliance its exit code.
func (t *target) failure(ctx context.Context, err error) error {
	if late := ended(ctx); late != nil {
		return late
	}
	if refusal, ok := errors.AsType[*client.AckError](err); ok {
		var more struct{ Hint string }
		_ = json.Unmarshal(refusal.Data, &more) // a refusal without a hint is one too
		return &failure{exitRefused, errors.New(refusal.Message), more.Hint}
	}
	if refusal, ok := errors.AsType[*client.Refusal](err); ok {
		return &failure{exitRefused, refusal, ""}
	}
	if httpErr, ok := errors.AsType[*client.HTTPError](err); ok {
		return &failure{exitRefused, httpErr, "'curl -i " + t.url + "' shows the whole answer"}
	}
	return &failure{exitUnreachable, fmt.Errorf("no appliance answers at %s: %w", t.url, err), "is it on, and on this network? 'appliance discover' lists those that are found; --url names one"}
}
