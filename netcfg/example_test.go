package netcfg_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"

	"server22.local/appliance/netcfg"
)

// Keep an interface configured by DHCP, and print what changes.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	configurator, err := netcfg.New(netcfg.Config{
		Settings:   netcfg.Settings{Interface: "eth0", Mode: netcfg.ModeDHCP},
		Hostname:   "server22",
		ResolvConf: "/run/appliance/resolv.conf",
		StateDir:   "/var/lib/appliance/net",
		Logger:     slog.Default(),
	})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	snapshots := configurator.Watcher().Subscribe()
	defer snapshots.Close()
	go func() {
		for snapshot := range snapshots.C {
			eth0, _ := snapshot.Link("eth0")
			fmt.Println(snapshot.Version, eth0.Carrier, eth0.Addrs)
		}
	}()
	if err := configurator.Run(ctx); err != nil {
		fmt.Println("error:", err)
	}
}

// A plan is what differs between two states; it reads like a diff.
func ExamplePlan() {
	observed := &netcfg.Snapshot{Links: []netcfg.Link{{
		Index: 2, Name: "eth0", Up: true, Carrier: true, MTU: 1500,
		Addrs: []netcfg.Addr{
			{Prefix: netip.MustParsePrefix("192.168.1.21/24"), Protocol: int(netcfg.FromSettings)},
			{Prefix: netip.MustParsePrefix("10.0.0.7/8")}, // somebody else's: it stays
		},
	}}}
	desired := netcfg.Desired{
		Link: "eth0", Index: 2, Up: true,
		Addrs: []netcfg.WantedAddr{{Prefix: netip.MustParsePrefix("192.168.1.22/24"), Origin: netcfg.FromSettings}},
		Routes: []netcfg.WantedRoute{{
			Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.168.1.1"), Metric: 100, Origin: netcfg.FromSettings,
		}},
	}
	fmt.Print(netcfg.Diff(netcfg.Plan(desired, observed)))
	// Output:
	// - address 192.168.1.21/24 dev eth0 (static)
	// + address 192.168.1.22/24 dev eth0 (static)
	// + route default via 192.168.1.1 dev eth0 metric 100 (static)
}

// The lines for a DHCP server that shall always give the same address.
func ExampleReserve() {
	r := netcfg.Reserve("server22", netcfg.MAC{0xb8, 0x27, 0xeb, 1, 2, 3}, netip.MustParseAddr("192.168.1.22"))
	fmt.Println(r.Dnsmasq)
	// Output: dhcp-host=b8:27:eb:01:02:03,server22,192.168.1.22
}
