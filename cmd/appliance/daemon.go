package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"server22.local/appliance/internal/app"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/control"
)

// askTimeout is for questions that the daemon answers from memory.
const askTimeout = 10 * time.Second

// servicePath is the socket of the system's service.
const servicePath = "/run/appliance/" + control.SocketName

// socket is where the daemon of this configuration listens: APPLIANCE_SOCKET,
// else its runtime folder, else the system's service.
func (inv *invocation) socket() string {
	if path := os.Getenv("APPLIANCE_SOCKET"); path != "" {
		return path
	}
	loaded, err := config.Load(inv.sources())
	if err != nil {
		return servicePath
	}
	path := filepath.Join(loaded.RuntimeDir(), control.SocketName)
	if loaded.Origin("state").Source == "default" && !exists(path) && exists(servicePath) {
		return servicePath // no state folder was named, so that this one may be meant
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (inv *invocation) client() *control.Client { return control.NewClient(inv.socket()) }

// ask sends one request to the daemon and reads the answer; send and into may
// be nil.
func (inv *invocation) ask(ctx context.Context, method, path string, send, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return daemonFailure(inv.client().Do(ctx, method, path, send, into))
}

// daemonFailure gives an error of the daemon its exit code and a hint.
func daemonFailure(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, control.ErrUnreachable) {
		hint := "start it with 'appliance run', or 'systemctl start appliance'; --config or --state says which one is meant"
		if errors.Is(err, os.ErrPermission) {
			hint = "only root, the user of the daemon and the group " + control.Group + " may; try it with sudo"
		}
		return &failure{exitUnreachable, err, hint}
	}
	if refusal, ok := errors.AsType[*control.Refusal](err); ok {
		hint := refusal.Hint()
		if refusal.Status == http.StatusForbidden && refusal.Code == "not_admin" {
			hint = "only root, the user of the daemon and the group " + control.Group + " may; try it with sudo"
		}
		return &failure{exitRefused, errors.New(refusal.Error()), hint}
	}
	return err
}

// status asks the daemon how it is.
func (inv *invocation) status(ctx context.Context) (app.Status, error) {
	var status app.Status
	err := inv.ask(ctx, http.MethodGet, "/api/v1/status", nil, &status)
	return status, err
}

func printList(inv *invocation, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(inv.out, line)
	}
}
