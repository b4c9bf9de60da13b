package httpd

import (
	"net/http"

	"github.com/VictoriaMetrics/metrics"
)

// Metrics are the numbers of /metrics, in Prometheus' text format. Safe for
// concurrent use.
type Metrics struct{ set *metrics.Set }

// NewMetrics returns an empty set.
func NewMetrics() *Metrics { return &Metrics{metrics.NewSet()} }

// Gauge adds a number that read tells when it is asked for.
func (m *Metrics) Gauge(name string, read func() float64) { m.set.NewGauge(name, read) }

// Counter adds a number that only grows, or returns the one of that name.
func (m *Metrics) Counter(name string) *metrics.Counter { return m.set.GetOrCreateCounter(name) }

// ServeHTTP writes every number, and those of the process and the Go runtime.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	m.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}
