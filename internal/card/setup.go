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
	src := config.Sources{Path: filepath.Join(c.Run, SettingsFile), Place: c.place()}
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

// allowSSH lets the keys in as root, one a line; ssh.service starts where
// there are any.
func (c *Card) allowSSH(ctx context.Context, keys string) error {
	var allowed strings.Builder
	for line := range strings.Lines(strings.TrimSpace(keys)) {
		key := strings.TrimSpace(line)
		if !publicKey.MatchString(key) {
			return errors.New("setup.ssh_key is no public key: it begins with ssh-ed25519 or ssh-rsa and is one line, as in ~/.ssh/id_ed25519.pub")
		}
		fmt.Fprintln(&allowed, key)
	}
	dir := filepath.Join(c.Data, "ssh")
	host := filepath.Join(dir, "ssh_host_ed25519_key")
	if _, err := os.Stat(host); errors.Is(err, os.ErrNotExist) {
		// Each device has a key of its own: none is in the image.
		if err := run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host); err != nil {
			return fmt.Errorf("making the SSH host key: %w", err)
		}
	}
	return renameio.WriteFile(filepath.Join(dir, "authorized_keys"), []byte(allowed.String()), 0o600)
}
