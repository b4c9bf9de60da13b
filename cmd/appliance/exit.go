package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"server22.local/appliance/internal/config"
)

// Exit codes, part of the interface.
const (
	exitOK          = 0
	exitFailed      = 1   // it was tried and did not work
	exitUsage       = 2   // the command line or the configuration is wrong
	exitUnhealthy   = 3   // the appliance runs, and something is wrong with it
	exitUnreachable = 4   // no appliance answers
	exitRefused     = 5   // the appliance said no
	exitConfig      = 78  // instead of 2 under systemd, which tries no more then: Go's crashes end in 2 too
	exitTimeout     = 124 // what was waited for did not come, as with timeout(1)
)

// failure is an error with the exit code that it ends in.
type failure struct {
	code int
	err  error
	hint string
}

// errUnhealthy is silent: the answer has said what is wrong.
var errUnhealthy = &failure{code: exitUnhealthy, err: errors.New("")}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }
func (f *failure) Hint() string  { return f.hint }

func usage(err error, hint string) error { return &failure{exitUsage, err, hint} }

// exitCode says what an error of a verb means to the caller of the process.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	if _, ok := errors.AsType[config.Errors](err); ok {
		return exitUsage
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return exitTimeout
	}
	return exitFailed
}

// report writes an error and what helps to w.
func report(w io.Writer, err error) {
	if errs, ok := errors.AsType[config.Errors](err); ok {
		for _, e := range errs {
			fmt.Fprintf(w, "error: %v\n%s", e, indent(e.Excerpt()))
			reportHint(w, e.Hint)
		}
		return
	}
	// A silent failure has said what it had to already.
	if err.Error() == "" {
		return
	}
	fmt.Fprintf(w, "error: %v\n", err)
	if hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		reportHint(w, hinted.Hint())
	}
}

func reportHint(w io.Writer, hint string) {
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
