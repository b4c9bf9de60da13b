//go:build !linux

package discovery

import "log/slog"

// watchSleep has nothing to watch here; see [Responder.Resume].
func (system) watchSleep(*slog.Logger) (resumed <-chan struct{}, stop func()) {
	return nil, func() {}
}
