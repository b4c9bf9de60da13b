package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"server22.local/appliance/internal/chat"
)

var place = Place{State: "/nowhere/appliance", LowPorts: true}

// write makes a configuration folder of files, by name.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "appliance.toml")
}

func TestEmptyFileIsTheDefaults(t *testing.T) {
	l, err := Load(Sources{Path: write(t, map[string]string{"appliance.toml": ""}), Place: place})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Defaults(place), l.Config, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestACardConfiguresItsNetwork(t *testing.T) {
	card := Place{State: "/nowhere/appliance", LowPorts: true, Card: true}
	for text, want := range map[string]Net{
		"":                       {Mode: "dhcp", LinkLocal: "always"},
		"net.link_local = 'off'": {Mode: "dhcp", LinkLocal: "off"},
		"net.mode = 'observe'":   {Mode: "observe", LinkLocal: "always"},
	} {
		l, err := Load(Sources{Path: write(t, map[string]string{"appliance.toml": text}), Place: card})
		if err != nil {
			t.Fatal(err)
		}
		if l.Net.Mode != want.Mode || l.Net.LinkLocal != want.LinkLocal {
			t.Errorf("%q: %s, %s", text, l.Net.Mode, l.Net.LinkLocal)
		}
	}
}

func TestLayersWinInOrder(t *testing.T) {
	state := t.TempDir()
	path := write(t, map[string]string{
		"appliance.toml":          "name = 'file'\nstate = '" + state + "'\n[chat]\nrooms = ['file', 'two']\n[net]\nmode = 'dhcp'\n[log]\nlevel = 'warn'\n",
		"appliance.d/10-net.toml": "net.mode = 'observe'\n[bus]\nhistory_per_topic = 5\n",
		"appliance.d/20-net.toml": "[bus]\nhistory_per_topic = 6\n[access]\npolicy='token'\n",
	})
	if err := os.WriteFile(filepath.Join(state, SettingsFile), []byte("name = 'settings'\nchat.rooms = ['kept']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Load(Sources{
		Path: path, Place: place,
		Environ: []string{"APPLIANCE_CHAT_ROOMS=env, other", "APPLIANCE_STORE_MAX_SIZE=2MiB", "PATH=/bin", "APPLIANCE_CONFIG=x"},
		Flags:   map[string]string{"store.max_size": "3MiB"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, key := range []string{"name", "net.mode", "bus.history_per_topic", "access.policy", "chat.rooms", "store.max_size", "log.level"} {
		k, _ := Lookup(key)
		got[key] = tomlValue(k.Value(l.Config)) + " " + filepath.Base(l.Origin(key).String())
	}
	want := map[string]string{
		"name":                  `"settings" settings.toml:1`,
		"net.mode":              `"observe" 10-net.toml:1`,
		"bus.history_per_topic": `6 20-net.toml:2`,
		"access.policy":         `"token" 20-net.toml:4`,
		"chat.rooms":            `["env", "other"] APPLIANCE_CHAT_ROOMS`,
		"store.max_size":        `"3MiB" --max_size`,
		"log.level":             `"warn" appliance.toml:8`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(l.Warnings) != 0 {
		t.Errorf("warned: %q", l.Warnings)
	}
}

// asUTF16 writes a text as Notepad's "Unicode", with a byte order mark.
func asUTF16(text string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

func TestForgivesWindows(t *testing.T) {
	const text = "name = 'pi'\r\n# 22 °C 🌡\r\n[discovery]\r\ninstance = '🌡'\r\n"
	for name, text := range map[string]string{
		"BOM":    "\ufeffname = 'pi'\n",
		"CRLF":   "\r\nname = 'pi'\r\n\r\n[net]\r\nmode = 'dhcp'\r\n",
		"UTF-16": asUTF16(text, binary.LittleEndian), "UTF-16, big-endian": asUTF16(text, binary.BigEndian),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Load(Sources{Path: write(t, map[string]string{"appliance.toml": text}), Place: place})
			if err != nil {
				t.Fatal(err)
			}
			if l.Name != "pi" {
				t.Errorf("name is %q", l.Name)
			}
			if strings.HasPrefix(name, "UTF-16") && l.Discovery.Instance != "🌡" {
				t.Errorf("discovery.instance is %q", l.Discovery.Instance)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	text := "[net]\ninterface = '02:82:00:00:00:02'\n[net.static]\naddresses = ['192.168.1.22/24', 'fd00::22/64']\n" +
		"routes = ['10.8.0.0/16 via 192.168.1.254', '192.168.7.0/24', 'fd08::/48 via fe80::1']\n"
	path := write(t, map[string]string{"appliance.toml": text})
	l, err := Load(Sources{Path: path, Place: place})
	if err != nil {
		t.Fatal(err)
	}
	key, _ := Lookup("net.static.routes")
	if got := fmt.Sprint(key.Value(l.Config)); got != "[10.8.0.0/16 via 192.168.1.254 192.168.7.0/24 fd08::/48 via fe80::1]" {
		t.Errorf("routes are shown as %s", got)
	}
	if routes := l.Net.Static.Routes; len(routes) != 3 || routes[0].Gateway.String() != "192.168.1.254" || routes[1].Gateway.IsValid() {
		t.Errorf("routes are %v", routes)
	}
}

func TestWrongFiles(t *testing.T) {
	for name, test := range map[string]struct{ text, want, hint string }{
		"unknown key": {"name = 'a'\n[net]\nmoed = 'dhcp'\n",
			"3:1: unknown key net.moed\n2 | [net]\n3 | moed = 'dhcp'\n  | ^^^^\n", "did you mean net.mode?"},
		"unknown table": {"[ntp]\nserver = 'a'\n",
			"1:2: unknown table [ntp]\n1 | [ntp]\n  |  ^^^\n", "did you mean net?"},
		"key in the wrong table": {"[net]\nlisten = [':80']\n",
			"2:1: unknown key net.listen\n1 | [net]\n2 | listen = [':80']\n  | ^^^^^^\n", "did you mean http.listen?"},
		"word not allowed": {"[net]\n\tmode = \"dhcpp\"\n",
			"2:9: net.mode must be observe, dhcp or static, not \"dhcpp\"\n1 | [net]\n2 | \tmode = \"dhcpp\"\n  | \t       ^^^^^^^\n", "observe changes nothing"},
		"type": {"name = 22\n",
			"1:8: name must be a string in quotes, not the number 22\n1 | name = 22\n  |        ^^\n", "host name"},
		"syntax": {"name = 'a'\nstate = var\n",
			"2:9: ", "strings need quotes"},
		"twice": {"name = 'a'\nname = 'b'\n", "2:1: ", ""},
		"static without an address": {"[net]\nmode = 'static'\n",
			"net.static.addresses is empty, and net.mode is static\n", "192.168.1.22/24"},
		"no prefix length": {"[net.static]\naddresses = ['192.168.1.22']\n",
			"2:1", "prefix length"},
		"gateway elsewhere": {"[net.static]\naddresses = ['192.168.1.22/24']\ngateway = '10.0.0.1'\n",
			"3:11: net.static.gateway 10.0.0.1 is in none of the networks of net.static.addresses\n", "router"},
		"route that is none": {"[net.static]\nroutes = ['10.8.0.0 via 192.168.1.1']\n", "\"10.8.0.0\" is not a network", "10.8.0.0/16 via"},
		"route with bits to spare": {"[net.static]\naddresses = ['192.168.1.22/24']\nroutes = ['10.8.0.1/16 via 192.168.1.1']\n",
			"10.8.0.0/16 is the network", ""},
		"route elsewhere": {"[net.static]\naddresses = ['192.168.1.22/24']\nroutes = ['10.8.0.0/16 via 10.9.0.1']\n",
			"10.9.0.1 is in none of the networks", ""},
		"interface with a space": {"[net]\ninterface = 'eth 0'\n", "\"eth 0\" is not an interface name", "hardware address"},
		"MTU":                    {"[net.static]\nmtu = 500\n", "500 is not between 576 and 65535", ""},
		"name":                   {"name = 'my pi'\n", "1:8: name \"my pi\" is not a host name\n", "one word"},
		"port":                   {"[http]\nlisten = [':80', '8080']\n", `http.listen "8080" is not an address with a port`, ""},
		"inline table":           {"setup = { wifi = { ssdi = 'x' } }\n", "1:20: unknown key setup.wifi.ssdi", "setup.wifi.ssid"},
		"value for a table":      {"net = 'dhcp'\n", "1:7: net is a table, not a value", "[net]"},
		"table for a value":      {"[name]\n", "1:2: name is a value, not a table", ""},
		"duration":               {"[realtime]\nping_interval = '25'\n", "\"25\" is not a duration", ""},
		"range":                  {"[realtime]\nping_interval = '1ms'\n", "must be between 1s and 10m, not 1ms", ""},
		"size":                   {"[store]\nmax_size = 'much'\n", "\"much\" is not a size", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, map[string]string{"appliance.toml": test.text})
			_, err := Load(Sources{Path: path, Place: place})
			errs, ok := errors.AsType[Errors](err)
			if !ok {
				t.Fatalf("Load returned %v; want Errors", err)
			}
			got := strings.ReplaceAll(errs[0].Error(), path+":", "") + "\n" + errs[0].Excerpt()
			if !strings.Contains(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if !strings.Contains(errs[0].Hint, test.hint) {
				t.Errorf("hint %q; want %q in it", errs[0].Hint, test.hint)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	path := write(t, map[string]string{"appliance.toml": "nam = 'a'\n[net]\nmode = 1\n[ntp]\na = 1\nb = 2\n"})
	_, err := Load(Sources{Path: path, Place: place, Environ: []string{"APPLIANCE_NET_MODE=x"}})
	errs, _ := errors.AsType[Errors](err)
	var got []string
	for _, e := range errs {
		got = append(got, e.Message)
	}
	want := []string{
		"unknown key nam", "net.mode must be a string in quotes, not the number 1",
		"unknown table [ntp]", `net.mode must be observe, dhcp or static, not "x"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(Sources{Path: "/nowhere/appliance.toml", Place: place})
	if err == nil || err.Error() != "/nowhere/appliance.toml: no such file" {
		t.Errorf("Load returned %v", err)
	}
}

func TestUnknownVariableIsAWarning(t *testing.T) {
	l, err := Load(Sources{Path: write(t, map[string]string{"appliance.toml": ""}), Place: place, Environ: []string{
		"APPLIANCE_PORT=tcp://1.2.3.4:80",
		"APPLIANCE_CONFIG=/x", "APPLIANCE_URL=http://pi.local/", "APPLIANCE_SOCKET=/x", // ours, though no keys
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "APPLIANCE_PORT") {
		t.Errorf("warned %q", l.Warnings)
	}
}

// A name that the chat refuses must not pass here: the daemon would not start.
func TestRoomsAreWhatTheChatTakes(t *testing.T) {
	for _, name := range []string{
		"lobby", "Küche 2", "👩\u200d🍳", strings.Repeat("ü", 64),
		"", strings.Repeat("ü", 65), "tab\there", "a\u200bb", "a\u2028b", "a\x7fb", "a\xffb",
	} {
		here, there := roomName(name), new(chat.Chat).SetRooms([]string{name})
		if (here == nil) != (there == nil) {
			t.Errorf("%q: the configuration says %v, the chat %v", name, here, there)
		}
	}
}

func TestReferenceIsTrue(t *testing.T) {
	reference := Reference(place)
	// As it is, it configures nothing; uncommented, it says the defaults.
	for name, text := range map[string]string{
		"commented":   string(reference),
		"uncommented": uncomment(string(reference)),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Load(Sources{Path: write(t, map[string]string{"appliance.toml": text}), Place: place})
			if err != nil {
				t.Fatal(err)
			}
			if changed := Diff(Defaults(place), l.Config); changed != nil {
				t.Errorf("changes %q", changed)
			}
		})
	}
	for _, k := range Keys() {
		if !strings.Contains(string(reference), "#"+k.Leaf()+" = ") {
			t.Errorf("%s is missing", k.Path)
		}
	}
}

// uncomment removes the sign from the values, which have no space behind it,
// and drops those whose default is the absence of a value.
func uncomment(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "#\n") {
			line = line[1:]
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestShowTellsOriginsAndKeepsSecrets(t *testing.T) {
	path := write(t, map[string]string{"appliance.toml": "name = 'pi'\n[access]\ntoken = 'very-secret-indeed'\n"})
	l, err := Load(Sources{Path: path, Place: place})
	if err != nil {
		t.Fatal(err)
	}
	show := string(l.Show())
	if !strings.Contains(show, `name = "pi"`) || !strings.Contains(show, "# "+path+":1\n") {
		t.Errorf("the name's origin is missing:\n%s", show)
	}
	if strings.Contains(show, "very-secret") || !strings.Contains(show, `token = "(hidden)"`) {
		t.Errorf("the token is shown:\n%s", show)
	}
}

func TestSetWritesSettings(t *testing.T) {
	state := t.TempDir()
	src := Sources{Path: write(t, map[string]string{"appliance.toml": "state = '" + state + "'\n"}), Place: place}
	l, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []map[string]*string{
		{"name": new("kitchen"), "chat.rooms": new("lobby,a \"b\"")},
		{"store.max_size": new("64MiB"), "log.level": new("debug")},
		{"log.level": nil},
	} {
		if l, err = l.Set(src, change); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if changed := Diff(l.Config, again.Config); changed != nil {
		t.Errorf("Set returned other values than were written: %q", changed)
	}
	want := []string{"name", "state", "chat.rooms", "store.max_size"}
	if diff := cmp.Diff(want, Diff(Defaults(place), again.Config)); diff != "" {
		t.Error(diff)
	}
	if got := again.Origin("name").String(); got != filepath.Join(state, SettingsFile)+":3" {
		t.Errorf("the name is from %s", got)
	}
}

func TestSetRefuses(t *testing.T) {
	state := t.TempDir()
	src := Sources{Path: write(t, map[string]string{"appliance.toml": "state = '" + state + "'\n"}), Place: place}
	l, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{"nam": "x", "name": "not a name", "state": "/tmp", "net.mode": "static"} {
		if _, err := l.Set(src, map[string]*string{key: &text}); err == nil {
			t.Errorf("%s = %s was taken", key, text)
		}
	}
	if _, err := os.Stat(l.SettingsPath()); err == nil {
		t.Error("settings were written nevertheless")
	}
}

func TestBrokenSettingsDoNotStopTheStart(t *testing.T) {
	state := t.TempDir()
	src := Sources{Path: write(t, map[string]string{"appliance.toml": "state = '" + state + "'\n"}), Place: place}
	if err := os.WriteFile(filepath.Join(state, SettingsFile), []byte("name = "), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if l.Name != "server22" || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "settings left out") {
		t.Errorf("name %q, warnings %q", l.Name, l.Warnings)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]string{"90s": "1m30s", "2m": "2m", "1h": "1h", "1h30m": "1h30m", "0s": "0s", "250ms": "250ms"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("%s became %v (%v)", text, d, err)
		}
	}
	if Duration(25*time.Second).String() != "25s" {
		t.Error("25s is written differently")
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "1000000": 1e6, "256KiB": 256 << 10, "2 MB": 2e6, "1GiB": 1 << 30, "7B": 7} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s became %d (%v)", text, b, err)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%d is written %s, which is %d (%v)", b, b, again, err)
		}
	}
	for _, text := range []string{"-1", "", "KiB", "9999999999GiB", "1.5MiB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %d", text, b)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("name = 'a'\n[net.static]\naddresses = ['1.2.3.4/8']\n"))
	f.Add([]byte("setup = { wifi = { ssid = \"x\" } }\n"))
	f.Add([]byte("\xff\xfea\x00"))
	f.Add(Reference(place))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := &Loaded{Config: Defaults(place), origins: map[string]origin{}}
		err := l.read("fuzz", text)
		if errs, ok := errors.AsType[Errors](err); ok {
			for _, e := range errs {
				_ = e.Error() + e.Excerpt()
			}
			return
		}
		_ = l.validate()
		_ = l.Show()
	})
}
