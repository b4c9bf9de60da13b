package netcfg

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSettingsAreValidated(t *testing.T) {
	for name, test := range map[string]struct {
		settings Settings
		wrong    string // part of the error, "" for none
	}{
		"nothing":            {Settings{}, ""},
		"a good static one":  {staticSettings("10.82.1.30/24"), ""},
		"mode":               {Settings{Mode: "auto"}, `mode "auto" is none of`},
		"link-local":         {Settings{LinkLocal: "on"}, `link_local "on" is none of`},
		"client id":          {Settings{ClientID: "xyz"}, `client identifier "xyz"`},
		"static and nothing": {Settings{Mode: ModeStatic}, "needs at least one address"},
		"no prefix":          {staticSettings("10.82.1.30/0"), "has no prefix length"},
		"broadcast":          {staticSettings("10.82.1.255/24"), "is the network or broadcast address"},
		"network":            {staticSettings("10.82.1.0/24"), "is the network or broadcast address"},
		"multicast":          {staticSettings("224.0.0.5/24"), "is not one for a host"},
		"far gateway":        {staticSettings("10.83.1.30/24"), "gateway 10.82.1.1 is in none of the networks"},
		"two gateways":       {Settings{Static: Static{Addresses: prefixes("10.82.1.30/24"), Gateways: addresses("10.82.1.1", "10.82.1.2")}}, "of the same family"},
		"search":             {Settings{Static: Static{Search: []string{"a b"}}}, "is not a domain name"},
		"mtu":                {Settings{Static: Static{MTU: 100}}, "MTU 100 is not between"},
		"destination":        {Settings{Static: Static{Routes: []StaticRoute{{Dst: netip.MustParsePrefix("10.1.2.3/8")}}}}, "has bits beyond its prefix"},
	} {
		err := test.settings.Validate()
		switch {
		case test.wrong == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
			t.Errorf("%s: %v; want %s", name, err, test.wrong)
		}
	}
	if _, err := New(Config{Settings: Settings{Mode: "auto"}}); err == nil {
		t.Error("New takes what Validate does not")
	}
}

// What is on trial survives as JSON.
func TestSettingsSurviveJSON(t *testing.T) {
	settings := staticSettings("10.82.1.30/24", "fd82::30/64")
	settings.Static.Routes = []StaticRoute{{Dst: netip.MustParsePrefix("10.83.0.0/16"), Gateway: netip.MustParseAddr("10.82.1.254"), Metric: 200}}
	data, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	var again Settings
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settings, again, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestChooseLink(t *testing.T) {
	mac := func(last byte) MAC { return MAC{2, 0, 0, 0, 0, last} }
	links := []Link{
		{Index: 1, Name: "lo", Loopback: true, Up: true, Carrier: true},
		{Index: 2, Name: "docker0", Kind: "bridge", MAC: mac(1), Up: true, Carrier: true},
		{Index: 3, Name: "wlan0", Wireless: true, MAC: mac(2), Up: true, Carrier: true},
		{Index: 4, Name: "port", Master: 2, MAC: mac(3), Up: true, Carrier: true},
		{Index: 5, Name: "end0", MAC: mac(4)},
		{Index: 6, Name: "enx1", AltNames: []string{"enxb827"}, MAC: mac(5), PermanentMAC: mac(6), Up: true},
		{Index: 7, Name: "enx2", MAC: mac(7), Up: true, Carrier: true},
	}
	without := func(index int) (rest []Link) {
		for _, link := range links {
			if link.Index != index {
				rest = append(rest, link)
			}
		}
		return rest
	}
	unjoined := slices.Clone(without(7))
	unjoined[2].Carrier = false
	for name, test := range map[string]struct {
		wanted  string
		links   []Link
		present int
		want    string
	}{
		"with carrier":                      {Auto, links, 0, "enx2"},
		"empty is auto":                     {"", links, 0, "enx2"},
		"a joined wireless network":         {Auto, without(7), 0, "wlan0"},
		"a cable takes over from it":        {Auto, links, 3, "enx2"},
		"up":                                {Auto, unjoined, 0, "enx1"},
		"any":                               {Auto, []Link{links[0], links[4]}, 0, "end0"},
		"nothing wired":                     {Auto, unjoined[:4], 0, "wlan0"},
		"nothing physical":                  {Auto, links[:2], 0, ""},
		"bridges of containers":             {Auto, []Link{{Index: 8, Name: "lxdbr0", MAC: mac(8), Up: true, Carrier: true}, {Index: 9, Name: "podman0", MAC: mac(9), Up: true, Carrier: true}}, 0, ""},
		"the present one without carrier":   {Auto, unjoined, 5, "end0"},
		"another has carrier":               {Auto, links, 5, "enx2"},
		"by name":                           {"end0", links, 0, "end0"},
		"by another name":                   {"enxb827", links, 0, "enx1"},
		"by its address":                    {"02:00:00:00:00:07", links, 0, "enx2"},
		"by the address burnt in":           {"02:00:00:00:00:06", links, 0, "enx1"},
		"wireless, if it is asked for":      {"wlan0", links, 0, "wlan0"},
		"not there":                         {"eth9", links, 0, ""},
		"no address matches the zero value": {"00:00:00:00:00:00", links, 0, ""},
	} {
		link, found := chooseLink(test.wanted, &Snapshot{Links: test.links}, test.present)
		if link.Name != test.want || found != (test.want != "") {
			t.Errorf("%s: chose %q, %v; want %q", name, link.Name, found, test.want)
		}
	}
}

func TestPreview(t *testing.T) {
	observed := &Snapshot{Links: []Link{eth0(addr("10.82.1.22/24", int(FromLease)), addr("10.99.0.1/24", 0))}}
	settings := staticSettings("10.82.1.30/24")
	settings.Interface = "eth0"
	_, changes, found := Preview(settings, observed)
	want := `- address 10.82.1.22/24 dev eth0 (lease)
+ address 10.82.1.30/24 dev eth0 (static)
+ route default via 10.82.1.1 dev eth0 src 10.82.1.30 metric 100 (static)
`
	if !found {
		t.Fatal("no link")
	}
	if got := Diff(changes); got != want {
		t.Errorf("preview\n%s\nwant\n%s", got, want)
	}
	for _, mode := range []Mode{ModeObserve, ModeDHCP} {
		if _, changes, _ := Preview(Settings{Mode: mode, Interface: "eth0"}, observed); len(changes) != 0 {
			t.Errorf("%s changes\n%s", mode, Diff(changes))
		}
	}
	if _, _, found := Preview(Settings{Interface: "eth9"}, observed); found {
		t.Error("found a link that is not there")
	}
}

func TestReservationLines(t *testing.T) {
	r := Reserve("server22", MAC{2, 0x82, 0, 0, 0, 2}, netip.MustParseAddr("10.82.1.22"))
	for _, test := range [][2]string{
		{r.Dnsmasq, "dhcp-host=02:82:00:00:00:02,server22,10.82.1.22"},
		{r.ISC, "host server22 { hardware ethernet 02:82:00:00:00:02; fixed-address 10.82.1.22; }"},
		{r.Kea, `{"hw-address": "02:82:00:00:00:02", "ip-address": "10.82.1.22", "hostname": "server22"}`},
	} {
		if test[0] != test[1] {
			t.Errorf("got %s; want %s", test[0], test[1])
		}
	}
	if r := Reserve("", MAC{}, netip.Addr{}); !strings.Contains(r.ISC, "ADDRESS") {
		t.Errorf("without an address: %s", r.ISC)
	}
}

func TestAskingAfterTheEnd(t *testing.T) {
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Try(t.Context(), Settings{}, time.Minute); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Try after the end: %v", err)
	}
}
