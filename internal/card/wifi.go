package card

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/renameio/v2"

	"server22.local/appliance/internal/config"
)

// joinWiFi writes what wpa_supplicant reads; appliance-wifi@wlan0.service
// starts where that is.
func (c *Card) joinWiFi(w config.WiFi) error {
	if err := checkWiFi(w); err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(c.Data, "wifi", "wlan0.conf"), wpaConfig(w), 0o600)
}

var countryCode = regexp.MustCompile(`^[A-Za-z]{2}$`)

func checkWiFi(w config.WiFi) error {
	switch {
	case len(w.SSID) > 32:
		return errors.New("setup.wifi.ssid is longer than 32 bytes")
	case w.Password != "" && (len(w.Password) < 8 || len(w.Password) > 64):
		return errors.New("setup.wifi.password must have 8 to 63 characters")
	case len(w.Password) == 64 && !isHex(w.Password):
		return errors.New("setup.wifi.password has 64 characters, and so must be a key in hexadecimal")
	case strings.ContainsFunc(w.Password, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New("setup.wifi.password must be plain ASCII, as WPA demands")
	case w.Country != "" && !countryCode.MatchString(w.Country):
		return errors.New(`setup.wifi.country must be two letters, as "DE"`)
	}
	return nil
}

// wpaConfig joins one wireless network, see wpa_supplicant.conf(5).
func wpaConfig(w config.WiFi) []byte {
	var b bytes.Buffer
	b.WriteString("# From [setup] in appliance.toml.\nctrl_interface=/run/wpa_supplicant\nupdate_config=0\n")
	if w.Country != "" {
		fmt.Fprintf(&b, "country=%s\n", strings.ToUpper(w.Country))
	}
	// WPA2 before WPA3, as blocks of their own: the firmware of a Pi's radio is
	// known to fail with WPA3 at access points that offer both.
	switch {
	case w.Password == "":
		wpaNetwork(&b, w.SSID, "key_mgmt=NONE")
	case len(w.Password) == 64:
		wpaNetwork(&b, w.SSID, "key_mgmt=WPA-PSK", "psk="+w.Password)
	default:
		// A quoted string runs to the last quote of its line.
		wpaNetwork(&b, w.SSID, "key_mgmt=WPA-PSK", `psk="`+w.Password+`"`, "priority=1")
		wpaNetwork(&b, w.SSID, "key_mgmt=SAE", `sae_password="`+w.Password+`"`, "ieee80211w=2")
	}
	return b.Bytes()
}

// wpaNetwork writes one block. The name of the network, which may be any
// bytes, is in hexadecimal; a hidden one is found too.
func wpaNetwork(b *bytes.Buffer, ssid string, lines ...string) {
	fmt.Fprintf(b, "network={\n\tssid=%x\n\tscan_ssid=1\n", ssid)
	for _, line := range lines {
		fmt.Fprintf(b, "\t%s\n", line)
	}
	b.WriteString("}\n")
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
