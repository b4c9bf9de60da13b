package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
)

func newConfig(inv *invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show and change the configuration",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(fmt.Errorf("config needs a verb"), "check, show, default or set")
		},
	}
	cmd.AddCommand(newConfigCheck(inv), newConfigShow(inv), newConfigDefault(inv), newConfigSet(inv))
	return cmd
}

func newConfigCheck(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether the configuration is right, and where it is not",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			src := inv.sources()
			if len(args) == 1 {
				src.Path = args[0]
			}
			loaded, err := config.Load(src)
			if err != nil {
				return err
			}
			for _, warning := range loaded.Warnings {
				fmt.Fprintf(inv.err, "warning: %s\n", warning)
			}
			fmt.Fprintln(inv.out, checked(loaded))
			return nil
		},
	}
}

func checked(l *config.Loaded) string {
	if len(l.Files) == 0 {
		return "ok: no file, the defaults apply"
	}
	return "ok: " + strings.Join(l.Files, ", ")
}

func newConfigShow(inv *invocation) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "show [KEY]",
		Short:             "Print every value, and where those that are not the default come from",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeKeys,
		RunE: func(_ *cobra.Command, args []string) error {
			loaded, err := config.Load(inv.sources())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return inv.showKey(loaded, args[0], asJSON)
			}
			if asJSON {
				return inv.showJSON(loaded)
			}
			_, err = inv.out.Write(loaded.Show())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: {KEY: {value, source, line}}")
	return cmd
}

// shownKey is one value in `config show --json`.
type shownKey struct {
	Value any `json:"value"`
	config.Origin
}

func (inv *invocation) showJSON(l *config.Loaded) error {
	shown := map[string]shownKey{}
	for _, k := range config.Keys() {
		shown[k.Path] = shownKey{l.Shown(k), l.Origin(k.Path)}
	}
	return inv.printJSON(shown)
}

func (inv *invocation) showKey(l *config.Loaded, path string, asJSON bool) error {
	key, ok := config.Lookup(path)
	if !ok {
		return usage(fmt.Errorf("unknown key %s", path), "'appliance config default' prints every key")
	}
	if asJSON {
		return inv.printJSON(shownKey{l.Shown(key), l.Origin(path)})
	}
	if list, ok := l.Shown(key).([]string); ok {
		for _, item := range list {
			fmt.Fprintln(inv.out, item)
		}
		return nil
	}
	_, err := fmt.Fprintln(inv.out, l.Shown(key))
	return err
}

func newConfigDefault(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "default",
		Short: "Print the reference file: every key at its default, explained",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := inv.out.Write(config.Reference(config.Here(func(string) (string, bool) { return "", false })))
			return err
		},
	}
}

func completeKeys(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var keys []string
	for _, k := range config.Keys() {
		keys = append(keys, k.Path)
	}
	return keys, cobra.ShellCompDirectiveNoFileComp
}

// printJSON writes a value as scripts read it.
func (inv *invocation) printJSON(v any) error {
	enc := json.NewEncoder(inv.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func newConfigSet(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "set KEY VALUE | set KEY=VALUE...",
		Short: "Change values, as the admin page does (in settings.toml)",
		Long: `Change values in settings.toml in the state folder, the layer between the files
and the environment. Lists are written with commas; an empty value takes the
key out of the layer.`,
		Example:           "  appliance config set name kitchen\n  appliance config set chat.rooms=lobby,lab store.max_size=1GiB",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			changes, err := parseChanges(args)
			if err != nil {
				return err
			}
			return inv.set(cmd.Context(), changes)
		},
	}
}

func parseChanges(args []string) (map[string]*string, error) {
	if len(args) == 2 && !strings.Contains(args[0], "=") {
		return map[string]*string{args[0]: textOrNil(args[1])}, nil
	}
	changes := map[string]*string{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usage(fmt.Errorf("%q is not KEY=VALUE", arg), "usage: appliance config set KEY=VALUE...")
		}
		changes[key] = textOrNil(value)
	}
	return changes, nil
}

func textOrNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// set changes settings through the daemon, so that they take effect at once;
// where none runs, in the file.
func (inv *invocation) set(ctx context.Context, changes map[string]*string) error {
	err := inv.ask(ctx, http.MethodPatch, "/api/v1/admin/settings", changes, nil)
	if !errors.Is(err, control.ErrUnreachable) {
		return err
	}
	src := inv.sources()
	loaded, err := config.Load(src)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(loaded.State, 0o700); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	_, err = loaded.Set(src, changes)
	return err
}
