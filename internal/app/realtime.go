package app

import (
	"context"
	"time"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/internal/store"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
)

// newRealtime makes the Socket.IO server of a configuration.
func (a *App) newRealtime(cfg *config.Loaded) *realtime.Server {
	return realtime.New(realtime.Options{
		Engine: engineio.Options{
			PingInterval: time.Duration(cfg.Realtime.PingInterval),
			PingTimeout:  time.Duration(cfg.Realtime.PingTimeout),
			MaxPayload:   int64(cfg.Realtime.MaxPayload),
			Queue:        engineio.Queue{Bytes: int(cfg.Realtime.Queue)},
			AllowEIO3:    cfg.Realtime.AllowEIO3,
			// Origins, and what their pages may read, are the front door's
			// matter: it has looked at the request already.
		},
		AckError: problem.Ack,
		Hooks:    realtimeHooks(a.metrics),
		Logger:   a.log.With("part", "realtime"),
	})
}

// realtimeHooks counts what passes, without a lock.
func realtimeHooks(m *httpd.Metrics) realtime.Hooks {
	received, failed := m.Counter("appliance_events_received_total"), m.Counter("appliance_events_failed_total")
	packets, receivers, dropped := m.Counter("appliance_packets_sent_total"), m.Counter("appliance_packet_receivers_total"), m.Counter("appliance_packets_dropped_total")
	connected, refused := m.Counter("appliance_sockets_connected_total"), m.Counter("appliance_sockets_refused_total")
	return realtime.Hooks{
		Connected: func(*realtime.Socket) { connected.Inc() },
		Refused:   func(string, error) { refused.Inc() },
		Received:  func(*realtime.Socket, string) { received.Inc() },
		Handled: func(_ *realtime.Socket, _ string, _ time.Duration, err error) {
			if err != nil {
				failed.Inc()
			}
		},
		Sent: func(_ string, n int) {
			packets.Inc()
			receivers.Add(n)
		},
		Dropped: func(*realtime.Socket) { dropped.Inc() },
	}
}

// endRealtime is a part that only ends: clients are told, and come back by
// themselves to whoever serves here next.
func (a *App) endRealtime(ctx context.Context) error {
	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), frontGrace)
	defer cancel()
	if err := a.realtime.Shutdown(grace); err != nil {
		// A client that polls and is between two polls cannot be told.
		return a.realtime.Engine().Close()
	}
	return nil
}

// gauges are the numbers that parts know themselves.
func (a *App) gauges() {
	a.metrics.Gauge("appliance_clients", func() float64 { return float64(a.realtime.Engine().Clients()) })
	a.metrics.Gauge("appliance_http_connections", func() float64 { return float64(a.server.Stats().Open) })
	a.metrics.Gauge("appliance_http_connections_rejected_total", func() float64 { return float64(a.server.Stats().Rejected) })
	a.metrics.Gauge("appliance_netlink_overruns_total", func() float64 { return float64(a.observer.Watcher().Overruns()) })
	for name, read := range map[string]func(store.Stats) int64{
		"appliance_store_commits_total":  func(s store.Stats) int64 { return s.Commits },
		"appliance_store_messages_total": func(s store.Stats) int64 { return s.Stored },
		"appliance_store_refused_total":  func(s store.Stats) int64 { return s.Refused },
		"appliance_store_bytes":          func(s store.Stats) int64 { return s.Bytes },
		"appliance_store_max_bytes":      func(s store.Stats) int64 { return s.MaxBytes },
		"appliance_store_waiting_bytes":  func(s store.Stats) int64 { return s.Waiting },
	} {
		a.metrics.Gauge(name, func() float64 { return float64(read(a.data.store.Stats())) })
	}
	for _, severity := range []string{"info", "warning", "error"} {
		a.metrics.Gauge(`appliance_conditions{severity="`+severity+`"}`, func() float64 { return a.countConditions(severity) })
	}
}

func (a *App) countConditions(severity string) (n float64) {
	for _, c := range a.health.Conditions() {
		if string(c.Severity) == severity {
			n++
		}
	}
	return n
}
