package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"aead.dev/minisign"
	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"server22.local/appliance/internal/card"
	"server22.local/appliance/internal/update"
)

const (
	updateKeys    = "/etc/appliance/update.d"           // public keys that a device trusts
	updateRequest = "/var/lib/appliance/update/request" // where the admin page leaves a bundle
	updateResult  = "/run/appliance-card/update.json"   // what became of it
)

// updateFlags are those of `appliance update`.
type updateFlags struct {
	older   bool
	request bool
	stick   string
}

func newUpdate(inv *invocation) *cobra.Command {
	var flags updateFlags
	cmd := &cobra.Command{
		Use:   "update FILE",
		Short: "Replace the program of a card by the one in a signed bundle",
		Long: `Replace the program of a card by the one in a signed bundle. The version before
comes back by itself unless the new one serves within a minute.

On a system with a package manager, that is what updates: apt install ./FILE.deb`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return inv.update(cmd.Context(), flags, args)
		},
	}
	cmd.Flags().BoolVar(&flags.older, "older", false, "apply it even if it is not newer than what runs")
	cmd.Flags().BoolVar(&flags.request, "request", false, "apply what the admin page received")
	cmd.Flags().StringVar(&flags.stick, "stick", "", "apply the newest bundle on the USB stick `DEVICE`")
	_ = cmd.Flags().MarkHidden("request") // fails only for a flag that does not exist
	_ = cmd.Flags().MarkHidden("stick")
	cmd.AddCommand(newUpdateKeygen(inv), newUpdatePack(inv))
	return cmd
}

func (inv *invocation) update(ctx context.Context, flags updateFlags, args []string) error {
	if err := checkCard(); err != nil {
		return err
	}
	updater, err := inv.newUpdater(flags)
	if err != nil {
		return err
	}
	switch {
	case flags.request:
		return inv.applyRequest(ctx, updater)
	case flags.stick != "":
		err := card.FromStick(ctx, flags.stick, func(ctx context.Context, bundle string) error { return inv.apply(ctx, updater, bundle) })
		if errors.Is(err, card.ErrNoBundle) || errors.Is(err, update.ErrOlder) {
			fmt.Fprintln(inv.err, err) // every stick passes here, most hold no update
			return nil
		}
		return err
	case len(args) == 1:
		return inv.apply(ctx, updater, args[0])
	default:
		return usage(errors.New("which bundle?"), "usage: appliance update FILE")
	}
}

// checkCard says who updates this system, if not we.
func checkCard() error {
	if _, err := os.Stat(filepath.Dir(updateResult)); err == nil {
		if os.Geteuid() != 0 {
			return &failure{exitRefused, errors.New("only root may replace the program"), "sudo appliance update FILE, or the admin page"}
		}
		return nil
	}
	if exe, err := os.Executable(); err == nil && exec.Command("dpkg-query", "--search", exe).Run() == nil {
		return &failure{exitRefused, errors.New("the package manager updates this system"), "apt install ./appliance_VERSION_ARCH.deb"}
	}
	return &failure{exitRefused, errors.New("this system is not a card of ours"), "replace the binary and restart the service; install.sh of the tarball does both"}
}

func (inv *invocation) newUpdater(flags updateFlags) (*update.Updater, error) {
	keys, err := update.Keys(updateKeys)
	if err != nil {
		return nil, err
	}
	u := &update.Updater{
		Slots: update.CardSlots, Keys: keys, Arch: runtime.GOARCH, Running: version,
		Restart: restartServices, Healthy: servesVersion,
		Log: slog.New(slog.NewTextHandler(inv.err, nil)),
	}
	if flags.older {
		u.Older = update.AllowOlder
	}
	return u, nil
}

func (inv *invocation) apply(ctx context.Context, u *update.Updater, bundle string) error {
	applied, err := u.Apply(ctx, bundle)
	switch {
	case errors.Is(err, update.ErrUntrusted):
		return &failure{exitRefused, err, "the keys that this device trusts are in " + updateKeys}
	case errors.Is(err, update.ErrOlder):
		return &failure{exitRefused, err, "--older applies it all the same"}
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(inv.out, "appliance %s is in force\n", applied)
	return err
}

// updateOutcome is what the admin page shows.
type updateOutcome struct {
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	Error   string    `json:"error,omitempty"`
}

func (inv *invocation) applyRequest(ctx context.Context, u *update.Updater) error {
	applied, err := u.Apply(ctx, updateRequest)
	outcome := updateOutcome{Version: applied, Time: time.Now()}
	if err != nil {
		outcome.Error = err.Error()
	}
	text, marshalErr := json.Marshal(outcome)
	return errors.Join(err, marshalErr, renameio.WriteFile(updateResult, text, 0o644), os.Remove(updateRequest))
}

func restartServices(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "systemctl", "restart", "appliance-net.service", "appliance.service").CombinedOutput()
	if err != nil {
		return fmt.Errorf("restarting: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// servesVersion asks the daemon itself, over HTTP as its users do.
func servesVersion(ctx context.Context, want string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := fetch(ctx, "http://127.0.0.1/readyz"); err != nil {
		return err
	}
	body, err := fetch(ctx, "http://127.0.0.1/api/v1/status")
	if err != nil {
		return err
	}
	var status struct{ Version string }
	if err := json.Unmarshal(body, &status); err != nil {
		return err
	}
	if status.Version != want {
		return fmt.Errorf("%s serves, not %s", status.Version, want)
	}
	return nil
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s says %s", url, res.Status)
	}
	return body, err
}

func newUpdateKeygen(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "keygen NAME",
		Short: "Make a pair of keys: NAME.key signs bundles, NAME.pub goes onto devices",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			public, private, err := minisign.GenerateKey(nil)
			if err != nil {
				return err
			}
			secret, err := minisign.EncryptKey(os.Getenv("MINISIGN_PASSWORD"), private)
			if err != nil {
				return err
			}
			text, err := public.MarshalText()
			if err != nil {
				return err
			}
			if err := writeNew(args[0]+".key", secret, 0o600); err != nil {
				return err
			}
			if err := writeNew(args[0]+".pub", append(text, '\n'), 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(inv.out, "%s.key: keep it secret and safe; the password is $MINISIGN_PASSWORD\n%s.pub: copy it to %s on devices\n", args[0], args[0], updateKeys)
			return err
		},
	}
}

// writeNew never replaces a key.
func writeNew(path string, data []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

func newUpdatePack(inv *invocation) *cobra.Command {
	var key, of string
	programs := map[string]string{}
	cmd := &cobra.Command{
		Use:   "pack OUT" + card.Suffix,
		Short: "Make a signed bundle of programs",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			private, err := minisign.PrivateKeyFromFile(os.Getenv("MINISIGN_PASSWORD"), key)
			if err != nil {
				return fmt.Errorf("reading the key %s (the password is $MINISIGN_PASSWORD): %w", key, err)
			}
			file, err := renameio.NewPendingFile(args[0], renameio.WithPermissions(0o644))
			if err != nil {
				return err
			}
			defer file.Cleanup()
			if err := update.Pack(file, of, *sourceDate(), programs, private); err != nil {
				return err
			}
			return file.CloseAtomicallyReplace()
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "minisign `FILE` of the secret key")
	cmd.Flags().StringVar(&of, "of", version, "`VERSION` of the programs")
	cmd.Flags().StringToStringVar(&programs, "program", nil, "`ARCH=FILE`, once for each processor")
	for _, name := range []string{"key", "program"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that does not exist
	}
	return cmd
}
