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
	"runtime"
	"strings"
	"time"

	"aead.dev/minisign"
	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"server22.local/appliance/internal/card"
	"server22.local/appliance/internal/update"
)

// updateInbox is where the daemon of a card leaves what its admin page
// received.
const updateInbox = "/var/lib/appliance/update"

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
	cmd.Flags().BoolVar(&flags.request, "request", false, "apply what the admin page has received")
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
	if flags.request {
		inbox := update.Inbox{Dir: updateInbox}
		args = []string{inbox.Request()}
		defer os.Remove(args[0]) // whatever becomes of it: the path unit would start us again
	}
	updater, err := inv.newUpdater(flags)
	if err != nil {
		return err
	}
	switch {
	case flags.stick != "":
		return inv.applyStick(ctx, updater, flags.stick)
	case len(args) == 1:
		return inv.apply(ctx, updater, args[0])
	default:
		return usage(errors.New("which bundle?"), "usage: appliance update FILE")
	}
}

// checkCard says who updates this system, if not we.
func checkCard() error {
	if way := update.Here(); way != update.ByBundle {
		why, hint := way.Refusal()
		return &failure{exitRefused, errors.New(why), hint}
	}
	if os.Geteuid() != 0 {
		return &failure{exitRefused, errors.New("only root may replace the program"), "'appliance update FILE' as root, or the admin page"}
	}
	return nil
}

func (inv *invocation) newUpdater(flags updateFlags) (*update.Updater, error) {
	keys, err := update.Keys(update.KeyFolders...)
	if err != nil {
		return nil, err
	}
	u := &update.Updater{
		Slots: update.CardSlots, Keys: keys, Arch: runtime.GOARCH, Running: version,
		Restart: restartServices, Healthy: servesVersion,
		Logger: slog.New(slog.NewTextHandler(inv.err, nil)),
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
		return &failure{exitRefused, err, untrustedHint(len(u.Keys))}
	case errors.Is(err, update.ErrOlder):
		return &failure{exitRefused, err, "--older applies it all the same"}
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(inv.out, "appliance %s is in force\n", applied)
	return err
}

func untrustedHint(keys int) string {
	if keys == 0 {
		return "this device trusts no key yet: put the signer's .pub file beside appliance.toml on the card's first partition, and restart"
	}
	return "the keys that this device trusts are in " + strings.Join(update.KeyFolders, " and ")
}

// applyStick applies what is on a USB stick. Every stick passes here, and most
// hold no update, or that of yesterday.
func (inv *invocation) applyStick(ctx context.Context, u *update.Updater, device string) error {
	u.SkipFailed = true
	err := card.FromStick(ctx, device, func(ctx context.Context, bundle string) error { return inv.apply(ctx, u, bundle) })
	if errors.Is(err, card.ErrNoBundle) || errors.Is(err, update.ErrOlder) || errors.Is(err, update.ErrFailedBefore) {
		fmt.Fprintln(inv.err, err)
		return nil
	}
	return err
}

var services = []string{"appliance-net.service", "appliance.service"}

// restartServices restarts what runs our program. A program that crashed at
// once has used up its starts: that is forgotten first.
func restartServices(ctx context.Context) error {
	_ = exec.CommandContext(ctx, "systemctl", append([]string{"reset-failed"}, services...)...).Run() // fails for a unit that never ran
	out, err := exec.CommandContext(ctx, "systemctl", append([]string{"restart"}, services...)...).CombinedOutput()
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
			_, err = fmt.Fprintf(inv.out, "%s.key: keep it secret and safe; the password is $MINISIGN_PASSWORD\n%s.pub: put it beside appliance.toml on the cards that shall trust it\n", args[0], args[0])
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
