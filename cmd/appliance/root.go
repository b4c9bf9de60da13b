package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/config"
)

// invocation is what the verbs share: the global flags and the streams.
type invocation struct {
	out *answer
	err io.Writer
	in  io.Reader

	configPath string
	flags      map[string]*string // keys of the configuration, by path
}

// execute runs one command line and returns its exit code.
func execute(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	inv := &invocation{out: &answer{file: os.Stdout}, err: os.Stderr, in: os.Stdin}
	root := newRoot(inv)
	root.SetArgs(allowNegative(args))
	err := root.ExecuteContext(ctx)
	if unwritten := inv.out.failure(); unwritten != nil {
		err = unwritten
	}
	if err != nil {
		report(inv.err, err)
		return exitCode(err)
	}
	return exitOK
}

// negative is what a sensor in the cold publishes.
var negative = regexp.MustCompile(`^-\.?[0-9]`)

// allowNegative lets `appliance pub lab/temp -5` mean what it says: no flag of
// pub is a digit, so what begins like one is the value, which goes behind all flags.
func allowNegative(args []string) []string {
	i := slices.IndexFunc(args, negative.MatchString)
	if !slices.Contains(args, "pub") || slices.Contains(args, "--") || i < 0 {
		return args
	}
	return append(slices.Delete(slices.Clone(args), i, i+1), "--", args[i])
}

// newRoot returns the whole command tree. `appliance` alone is `appliance run`.
func newRoot(inv *invocation) *cobra.Command {
	run := newRun(inv)
	root := &cobra.Command{
		Use:   "appliance",
		Short: "A realtime server for your local network, found by name",
		Long: `appliance serves pages, chat, a data bus and Socket.IO to the local network, and
is found there by its name. Without a verb it runs; without configuration it is
called server22.

Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration, 3 unhealthy,
4 no appliance answers, 5 refused, 124 timed out.`,
		Args:              cobra.NoArgs,
		RunE:              run.RunE,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           versionText(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(inv.out)
	root.SetErr(inv.err)
	root.SetIn(inv.in)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err, fmt.Sprintf("'%s --help' shows every flag", cmd.CommandPath()))
	})
	inv.addFlags(root)
	root.AddCommand(
		run, newStatus(inv), newDoctor(inv), newReport(inv), newDiscover(inv), newURL(inv), newName(inv),
		newPub(inv), newSub(inv), newChat(inv),
		newAdmin(inv), newNet(inv), newConfig(inv), newBackup(inv), newRestore(inv), newUpdate(inv), newVersion(inv),
		newCard(), newHostname(inv), newMan(root),
	)
	strictArgs(root)
	strictHelp(root)
	return root
}

// addFlags adds the flags that every verb knows.
func (inv *invocation) addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&inv.configPath, "config", os.Getenv("APPLIANCE_CONFIG"), "read the configuration from `FILE` (default "+config.DefaultPath+")")
	inv.flags = map[string]*string{}
	for _, flag := range []struct{ name, path, usage string }{
		{"name", "name", "call the appliance `NAME`, and NAME.local on the network"},
		{"state", "state", "keep everything that must survive in `FOLDER`"},
		{"listen", "http.listen", "serve on these `ADDRESSES`, as in :80,:8080"},
		{"log-level", "log.level", "log from this `LEVEL` on: debug, info, warn or error"},
	} {
		inv.flags[flag.path] = f.String(flag.name, "", flag.usage)
	}
	_ = root.MarkPersistentFlagFilename("config", "toml") // fails only for a flag that does not exist
	_ = root.MarkPersistentFlagDirname("state")
}

// sources says where this invocation's configuration comes from.
func (inv *invocation) sources() config.Sources {
	src := config.Sources{
		Path: inv.configPath, Environ: os.Environ(), Flags: map[string]string{},
		Place: config.Here(os.LookupEnv),
	}
	for path, value := range inv.flags {
		if *value != "" {
			src.Flags[path] = *value
		}
	}
	return src
}

// strictArgs makes wrong arguments a matter of usage, with a hint, for every verb.
func strictArgs(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			return wrongArgs(cmd, args)
		}
	}
	for _, child := range cmd.Commands() {
		strictArgs(child)
	}
}

// strictHelp makes help for what is not there a matter of usage, too.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		return // cannot be: it was just made
	}
	help.Run = nil
	help.RunE = func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return wrongArgs(cmd, rest)
		}
		return cmd.Help()
	}
}

// wrongArgs says what was expected in the place of args.
func wrongArgs(cmd *cobra.Command, args []string) error {
	path, got := cmd.CommandPath(), "nothing"
	if len(args) > 0 {
		got = fmt.Sprintf("%q", strings.Join(args, " "))
	}
	if cmd.HasAvailableSubCommands() && len(args) > 0 {
		hint := fmt.Sprintf("'%s --help' lists every verb", path)
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("did you mean %s? %s", strings.Join(near, " or "), hint)
		}
		return usage(fmt.Errorf("unknown command %q for %q", args[0], path), hint)
	}
	_, takes, some := strings.Cut(cmd.Use, " ")
	if !some {
		takes = "no arguments"
	}
	return usage(fmt.Errorf("%s takes %s, and got %s", path, takes, got), fmt.Sprintf("usage: %s", cmd.UseLine()))
}
