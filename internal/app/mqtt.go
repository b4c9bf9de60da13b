package app

import (
	"context"

	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/httpd"
	"server22.local/appliance/internal/mqtt"
)

// newMQTT makes the bus's door for clients of another protocol, nil where
// that is off. They are let in by the rules of the front door, with the token
// as their password.
func (a *App) newMQTT(cfg *config.Loaded) (*mqtt.Server, error) {
	if cfg.Bus.MQTT == "" {
		return nil, nil
	}
	server, err := mqtt.New(mqtt.Config{
		Bus: a.data.bus, Allow: a.guard.Admits, MaxPacket: int(cfg.Realtime.MaxPayload),
		Logger: a.log.With("part", "mqtt"),
	})
	if err != nil {
		return nil, err
	}
	a.metrics.Gauge("appliance_mqtt_clients", func() float64 { return float64(server.Clients()) })
	return server, nil
}

// serveMQTT is a part.
func (a *App) serveMQTT(ctx context.Context) error {
	listeners, err := httpd.Listen(ctx, []string{a.opts.Loaded.Bus.MQTT})
	if err != nil {
		return err
	}
	return a.mqtt.Serve(ctx, listeners[0])
}
