package netcfg

import (
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
)

// folder is a folder in which servers may write whoever they run as.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ISC dhcpd sends no T1 and T2, and leases of ten seconds: renewed at half.
func TestISC(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	dir := folder(t)
	writeFile(t, dir+"/dhcpd.conf", `authoritative; ddns-update-style none;
		default-lease-time 10; max-lease-time 10; min-lease-time 10; ping-check false;
		option domain-name "lan"; option domain-name-servers 10.82.1.1; option routers 10.82.1.1;
		subnet 10.82.1.0 netmask 255.255.255.0 { range 10.82.1.100 10.82.1.150; }
		host server22 { hardware ethernet `+deviceMAC+`; fixed-address 10.82.1.22; }`)
	writeFile(t, dir+"/leases", "")
	server := n.lan.Daemon("dhcpd", "-4", "-f", "-d", "-user", "root", "-group", "root",
		"-cf", dir+"/dhcpd.conf", "-lf", dir+"/leases", "-pf", dir+"/pid", "br0")
	server.WaitOutput("Sending on", soon)
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.22/24", soon)
	netnstest.Eventually(t, 7*time.Second, "a renewal", func() bool {
		return strings.Count(server.Output(), "DHCPREQUEST for 10.82.1.22") >= 2
	})
	if strings.Count(server.Output(), "DHCPDISCOVER") != 1 {
		t.Error("a renewal was not enough")
	}
}

// Kea registers the name in BIND by way of its D2 server; we see that it did.
func TestKeaRegistersInBIND(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	dir := folder(t)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	fill := strings.NewReplacer("DIR", dir, "KEY", base64.StdEncoding.EncodeToString(key), "HWADDR", deviceMAC).Replace

	for zone, file := range map[string]string{"lan": "lan.zone", "1.82.10.in-addr.arpa": "rev.zone"} {
		writeFile(t, filepath.Join(dir, file), "$TTL 60\n@ SOA ns."+zone+". root."+zone+". 1 60 60 60 60\n@ NS ns.lan.\nns.lan. A 10.82.1.1\n")
	}
	writeFile(t, dir+"/named.conf", fill(`key ddns { algorithm hmac-sha256; secret "KEY"; };
		options { directory "DIR"; pid-file "DIR/named.pid"; session-keyfile "DIR/session.key";
			listen-on port 53 { 10.82.1.1; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; allow-query { any; }; };
		controls { };
		zone "lan" { type master; file "DIR/lan.zone"; allow-update { key ddns; }; };
		zone "1.82.10.in-addr.arpa" { type master; file "DIR/rev.zone"; allow-update { key ddns; }; };`))
	writeFile(t, dir+"/d2.json", fill(`{"DhcpDdns":{"ip-address":"127.0.0.1","port":53001,
		"control-socket":{"socket-type":"unix","socket-name":"DIR/d2.sock"},
		"tsig-keys":[{"name":"ddns","algorithm":"HMAC-SHA256","secret":"KEY"}],
		"forward-ddns":{"ddns-domains":[{"name":"lan.","key-name":"ddns","dns-servers":[{"ip-address":"10.82.1.1","port":53}]}]},
		"reverse-ddns":{"ddns-domains":[{"name":"1.82.10.in-addr.arpa.","key-name":"ddns","dns-servers":[{"ip-address":"10.82.1.1","port":53}]}]},
		"loggers":[{"name":"kea-dhcp-ddns","severity":"INFO","output_options":[{"output":"stdout"}]}]}}`))
	writeFile(t, dir+"/kea.json", fill(`{"Dhcp4":{"interfaces-config":{"interfaces":["br0"],"dhcp-socket-type":"raw"},
		"lease-database":{"type":"memfile","persist":true,"name":"DIR/leases.csv","lfc-interval":0},
		"control-socket":{"socket-type":"unix","socket-name":"DIR/ctl.sock"},
		"dhcp-ddns":{"enable-updates":true},"ddns-send-updates":true,"ddns-qualifying-suffix":"lan.","ddns-override-client-update":true,
		"valid-lifetime":12,"min-valid-lifetime":12,"max-valid-lifetime":12,"renew-timer":4,"rebind-timer":8,"authoritative":true,
		"option-data":[{"name":"routers","data":"10.82.1.1"},{"name":"domain-name-servers","data":"10.82.1.1"},{"name":"domain-name","data":"lan"}],
		"subnet4":[{"id":1,"subnet":"10.82.1.0/24","pools":[{"pool":"10.82.1.100-10.82.1.150"}],
			"reservations":[{"hw-address":"HWADDR","ip-address":"10.82.1.22","hostname":"server22"}]}],
		"loggers":[{"name":"kea-dhcp4","severity":"INFO","output_options":[{"output":"stdout"}]}]}}`))

	n.lan.Daemon("named", "-g", "-c", dir+"/named.conf", "-n", "1").WaitOutput("running", 30*time.Second)
	inDir := func(name, config string) *netnstest.Daemon {
		cmd := n.lan.Command(name, "-c", config)
		cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
		return n.lan.DaemonCommand(cmd)
	}
	inDir("kea-dhcp-ddns", dir+"/d2.json").WaitOutput("STARTED", 30*time.Second)
	server := inDir("kea-dhcp4", dir+"/kea.json")
	server.WaitOutput("DHCP4_STARTED", 30*time.Second)

	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.22/24", soon)
	netnstest.Eventually(t, 70*time.Second, "the registration", func() bool {
		r := d.report().Registration
		return r.State == "yes" && r.Name == "server22.lan" && r.Reverse == "server22.lan"
	})
	if status := d.report().DHCP; status.Lease.RenewAfter > 4*time.Second || status.Lease.RebindAfter != 8*time.Second {
		t.Errorf("T1 %v, T2 %v; Kea says 4 s and 8 s", status.Lease.RenewAfter, status.Lease.RebindAfter)
	}
}

// Routers of IPv6 name their name servers, also to a host that was up before.
func TestRadvdNameServers(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.lan.Addr("br0", "fd82:1::1/64")
	dir := folder(t)
	writeFile(t, dir+"/radvd.conf", `interface br0 { AdvSendAdvert on; MinRtrAdvInterval 100; MaxRtrAdvInterval 200;
		prefix fd82:1::/64 { }; RDNSS fd82:1::53 { AdvRDNSSLifetime 300; }; DNSSL home.arpa { AdvDNSSLLifetime 300; }; };`)
	n.lan.Run("sysctl", "-w", "net.ipv6.conf.br0.forwarding=1")
	n.lan.Daemon("radvd", "-n", "-m", "stderr", "-C", dir+"/radvd.conf", "-p", dir+"/pid", "-u", "root")
	n.dev.Up("eth0")
	netnstest.Eventually(t, 10*time.Second, "SLAAC", func() bool {
		return strings.Contains(n.dev.Run("ip", "-6", "addr", "show", "dev", "eth0"), "fd82:1:")
	})
	d := n.start(staticSettings("10.82.1.30/24"))
	netnstest.Eventually(t, 15*time.Second, "the routers' name servers", func() bool {
		text, _ := os.ReadFile(d.resolv)
		return string(text) == resolverMark+"\nsearch lan home.arpa\nnameserver 10.82.1.1\nnameserver fd82:1::53\n"
	})
}
