package card

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/renameio/v2"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/internal/config"
)

// setUp does what [setup] asks for. Done again after a power cut it gives the
// same result; only then is it removed from the card.
func (c *Card) setUp(ctx context.Context, s config.Setup) error {
	var errs []error
	if s.AdminPassword != "" {
		errs = append(errs, c.setPassword(s.AdminPassword))
	}
	if s.SSHKey != "" {
		errs = append(errs, c.allowSSH(ctx, s.SSHKey))
	}
	if s.WiFi.SSID != "" {
		errs = append(errs, c.joinWiFi(s.WiFi))
	}
	return errors.Join(errs...)
}

// setPassword claims the administration for the owner of the card.
func (c *Card) setPassword(password string) error {
	if len(password) < admin.MinPassword {
		return fmt.Errorf("setup.admin_password is too short: at least %d characters", admin.MinPassword)
	}
	hash := admin.Hash(password)
	src := config.Sources{
		Path:  filepath.Join(c.Run, SettingsFile),
		Place: config.Place{State: c.State, LowPorts: true},
	}
	loaded, err := config.Load(src)
	if err != nil {
		return fmt.Errorf("setup.admin_password: %w", err)
	}
	if _, err := loaded.Set(src, map[string]*string{"admin.password_hash": &hash}); err != nil {
		return fmt.Errorf("setup.admin_password: %w", err)
	}
	return os.Chown(loaded.SettingsPath(), c.UID, c.GID)
}

var publicKey = regexp.MustCompile(`^(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\n\r]*)?$`)

// allowSSH lets the key in as root; ssh.service starts where there is one.
func (c *Card) allowSSH(ctx context.Context, key string) error {
	key = strings.TrimSpace(key)
	if !publicKey.MatchString(key) {
		return errors.New("setup.ssh_key is no public key: it begins with ssh-ed25519 or ssh-rsa and is one line")
	}
	dir := filepath.Join(c.Data, "ssh")
	host := filepath.Join(dir, "ssh_host_ed25519_key")
	if _, err := os.Stat(host); errors.Is(err, os.ErrNotExist) {
		// Each device has a key of its own: none is in the image.
		if err := run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host); err != nil {
			return fmt.Errorf("making the SSH host key: %w", err)
		}
	}
	return renameio.WriteFile(filepath.Join(dir, "authorized_keys"), []byte(key+"\n"), 0o600)
}

// joinWiFi writes what wpa_supplicant@wlan0 reads; it starts where that is.
func (c *Card) joinWiFi(w config.WiFi) error {
	if err := checkWiFi(w); err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(c.Data, "wifi", "wlan0.conf"), wpaConfig(w), 0o600)
}

func checkWiFi(w config.WiFi) error {
	switch {
	case len(w.SSID) > 32:
		return errors.New("setup.wifi.ssid is longer than 32 bytes")
	case w.Password != "" && (len(w.Password) < 8 || len(w.Password) > 64):
		return errors.New("setup.wifi.password must have 8 to 63 characters")
	case strings.ContainsFunc(w.Password, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New("setup.wifi.password must be plain ASCII, as WPA demands")
	case w.Country != "" && !regexp.MustCompile(`^[A-Za-z]{2}$`).MatchString(w.Country):
		return errors.New(`setup.wifi.country must be two letters, as "DE"`)
	}
	return nil
}
