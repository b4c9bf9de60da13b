package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/clock"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/netcfg"
)

// Finding is one thing that the doctor has looked at. Its JSON form is stable.
type Finding struct {
	Code    health.Code `json:"code"`
	Subject string      `json:"subject"`
	Verdict string      `json:"verdict"` // ok, info, warning or error
	Text    string      `json:"text"`
	Hint    string      `json:"hint,omitempty"`
}

// Examination is what the doctor starts from.
type Examination struct {
	Loaded *config.Loaded // nil if the configuration is wrong
	Err    error          // why
	Status *Status        // of the daemon; nil if none answers
	Socket string         // where it was looked for
}

// doctorPatience is how long one page may take to open.
const doctorPatience = 3 * time.Second

// Examine looks at everything that a user's trouble may come from, whether or
// not the daemon runs.
func Examine(ctx context.Context, e Examination) []Finding {
	findings := []Finding{e.configuration(), e.daemon()}
	if e.Loaded != nil {
		findings = append(findings, e.state())
	}
	findings = append(findings, e.network(ctx)...)
	if e.Status != nil {
		findings = append(findings, e.pages(ctx)...)
		for _, c := range e.Status.Conditions {
			findings = append(findings, Finding{c.Code, c.ID, string(c.Severity), c.Text, c.Hint})
		}
	} else if !(&clock.Linux{}).Trusted() {
		findings = append(findings, Finding{health.ClockUnset, "clock", "info", "nobody has set this device's clock", "connect it to a network with a time server"})
	}
	return findings
}

func (e Examination) configuration() Finding {
	f := Finding{Code: health.ConfigFine, Subject: "configuration", Verdict: "ok"}
	switch {
	case e.Err != nil:
		f.Code, f.Verdict, f.Text, f.Hint = health.ConfigWrong, "error", e.Err.Error(), "'appliance config check' shows every mistake"
	case len(e.Loaded.Warnings) > 0:
		f.Code, f.Verdict, f.Text = health.ConfigDoubt, "warning", strings.Join(e.Loaded.Warnings, "; ")
	case len(e.Loaded.Files) == 0:
		f.Text = "no file; the defaults apply"
	default:
		f.Text = strings.Join(e.Loaded.Files, ", ")
	}
	return f
}

func (e Examination) daemon() Finding {
	if e.Status == nil {
		return Finding{health.ServerSilent, "daemon", "error", "none answers at " + e.Socket, "start it with 'appliance run', or 'systemctl start appliance'"}
	}
	return Finding{health.ServerFine, "daemon", "ok", fmt.Sprintf("%s, version %s", e.Status.Name, e.Status.Version), ""}
}

// roomy is how much a store needs to grow by while somebody looks for room.
const roomy = 64 << 20

func (e Examination) state() Finding {
	f := Finding{Code: health.DiskFine, Subject: "state folder", Verdict: "ok"}
	dir := e.Loaded.State
	var space unix.Statfs_t
	if err := unix.Statfs(nearestFolder(dir), &space); err != nil {
		f.Code, f.Verdict, f.Text = health.DiskUnusable, "error", fmt.Sprintf("%s: %v", dir, err)
		return f
	}
	free := int64(space.Bavail) * int64(space.Bsize) // of 32 bits on ARM
	f.Text = fmt.Sprintf("%s, %d MiB free", dir, free>>20)
	if free < roomy {
		f.Code, f.Verdict, f.Hint = health.DiskShort, "warning", "messages are not stored when the disk is full; make room"
	}
	return f
}

// nearestFolder is the folder, or the one above that exists.
func nearestFolder(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

func (e Examination) network(ctx context.Context) []Finding {
	snapshot, err := netcfg.Observe(netcfg.DefaultResolvConf)
	if err != nil {
		return []Finding{{health.NetUnseen, "network", "error", err.Error(), ""}}
	}
	var findings []Finding
	for _, link := range (site{snapshot: snapshot}).links() {
		findings = append(findings, examineLink(ctx, snapshot, link))
	}
	findings = append(findings, e.names(ctx, snapshot)...)
	if len(findings) == 0 {
		findings = append(findings, Finding{health.NetDown, "network", "error", "no interface is up", "plug in a cable, or join a wireless network"})
	}
	return findings
}

func examineLink(ctx context.Context, snapshot *netcfg.Snapshot, link netcfg.Link) Finding {
	f := Finding{Code: health.NetFine, Subject: link.Name, Verdict: "ok"}
	var addrs []string
	for _, a := range link.Addrs {
		addrs = append(addrs, a.Prefix.String())
		if a.Duplicate {
			f.Code, f.Verdict, f.Hint = health.NetDuplicate, "error", "another device has the same address"
		}
	}
	f.Text = strings.Join(addrs, " ")
	// What carries our mark is ours, though another process may hold the socket.
	if source := sourceOf(link); source != "" {
		f.Text += ", configured by the appliance (" + source + ")"
	} else if owner, ok := (netcfg.OwnerFinder{}).Find(ctx, snapshot, link); ok {
		f.Text += ", configured by " + owner.Name
	}
	if len(addrs) == 0 {
		f.Code, f.Verdict, f.Text, f.Hint = health.NetNoAddress, "warning", "up, without an address", "'appliance net show' tells more"
	}
	if !link.Carrier {
		f.Code, f.Verdict, f.Text, f.Hint = health.NetNoCable, "info", "up, and nothing is plugged in", ""
	}
	return f
}

// pages opens each address as a visitor would.
func (e Examination) pages(ctx context.Context) []Finding {
	var findings []Finding
	client := http.Client{Timeout: doctorPatience}
	defer client.CloseIdleConnections()
	for _, url := range e.Status.URLs {
		if _, isAddress := AddressURL([]string{url}); !isAddress {
			continue // this machine may resolve names otherwise than its neighbours
		}
		findings = append(findings, e.open(ctx, &client, url))
	}
	return findings
}

func (e Examination) open(ctx context.Context, client *http.Client, url string) Finding {
	f := Finding{Code: health.ServerFine, Subject: url, Verdict: "ok", Text: "opens"}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"healthz", nil)
	if err != nil {
		return Finding{health.ServerPageShut, url, "error", err.Error(), ""}
	}
	if e.Loaded != nil && e.Loaded.Access.Token != "" {
		req.Header.Set("Authorization", "Bearer "+e.Loaded.Access.Token)
	}
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return Finding{health.ServerPageShut, url, "error", "does not open: " + err.Error(), "a firewall on this machine? 'nft list ruleset' shows"}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		f.Code, f.Verdict, f.Text = health.ServerPageBroken, "error", "answers "+resp.Status
		return f
	}
	f.Text = fmt.Sprintf("opens, in %d ms", time.Since(began).Milliseconds())
	return f
}
