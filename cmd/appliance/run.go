package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/systemd"
)

func newRun(inv *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Serve until the end (what 'appliance' alone does)",
		Long: `Serve until SIGTERM or Ctrl-C. SIGHUP reads the configuration anew.

The first lines say where the pages are open. Logs go to standard error, or to
the journal where that is where standard error ends.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return inv.run(cmd.Context()) },
	}
}

func (inv *invocation) run(ctx context.Context) error {
	for {
		err := inv.runOnce(ctx)
		if !errors.Is(err, app.ErrRestart) {
			return err
		}
		if underSystemd() {
			return nil // systemd begins anew, and holds the sockets meanwhile
		}
	}
}

func underSystemd() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

func (inv *invocation) runOnce(ctx context.Context) error {
	opts, release, err := inv.daemonOptions()
	if err != nil {
		return err
	}
	defer release()
	opts.Stdout, opts.Terminal = os.Stdout, inv.out.onTerminal() // a greeting that nobody reads is no failure
	return app.New(opts).Run(ctx)
}

// daemonOptions are what a daemon gets of this process: the configuration, the
// log, and each SIGHUP until release is called.
func (inv *invocation) daemonOptions() (opts app.Options, release func(), err error) {
	src := inv.sources()
	loaded, err := config.Load(src)
	if _, wrong := errors.AsType[config.Errors](err); wrong && underSystemd() {
		return app.Options{}, nil, &failure{code: exitConfig, err: err}
	}
	if err != nil {
		return app.Options{}, nil, err
	}
	level := &slog.LevelVar{}
	level.Set(loaded.Log.Level)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	return app.Options{
		Loaded: loaded, Sources: src, Version: version,
		Log: newLog(level), Level: level, Hangups: hangups,
	}, func() { signal.Stop(hangups) }, nil
}

func newLog(level slog.Leveler) *slog.Logger {
	if systemd.StderrIsJournal() {
		return slog.New(systemd.NewJournalHandler(level))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
