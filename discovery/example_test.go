package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"server22.local/appliance/discovery"
)

// A host that is found as server22.local, with a web server on it, until it is
// told to end.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	interfaces, err := discovery.SystemInterfaces()
	if err != nil {
		log.Fatal(err)
	}
	responder, err := discovery.New(discovery.Config{
		Name:       "server22",
		Aliases:    []discovery.Alias{{Name: "chat"}},
		Interfaces: interfaces,
		Services: []discovery.Service{{
			Instance: "My Web", Type: "_http._tcp", Port: 80,
			TXT: []string{"path=/"},
		}},
		Store:  discovery.NewFileStore("/var/lib/server22/names.json"),
		Logger: slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := responder.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// Following what a host is called.
func ExampleResponder_Watch() {
	responder, err := discovery.New(discovery.Config{Name: "server22"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_ = responder.Run(ctx) // elsewhere in a real program
	}()
	for state := range responder.Watch(ctx) {
		host := state.Host()
		switch {
		case host.Rival != nil && host.Name != host.Wanted:
			fmt.Printf("called %s, since %s has %s\n", host.Name, host.Rival.Address, host.Wanted)
		case host.Held:
			fmt.Println("called", host.Name)
		}
		cancel() // this example is short
	}
}

// What cannot be announced is refused with a reason.
func ExampleResponder_Announce() {
	responder, err := discovery.New(discovery.Config{Name: "server22"})
	if err != nil {
		log.Fatal(err)
	}
	err = responder.Announce(discovery.Service{Type: "http", Port: 80})
	fmt.Println(errors.Is(err, discovery.ErrInvalid))
	fmt.Println(err)
	// Output:
	// true
	// service type "http": not valid: it ends in ._tcp or ._udp
}

// The interfaces of containers and tunnels are left out; a program may choose
// differently.
func ExampleDefaultFilter() {
	for _, name := range []string{"eth0", "wlan0", "docker0", "veth1a2b", "br-0123456789ab", "tailscale0"} {
		fmt.Println(name, discovery.DefaultFilter(discovery.Interface{Name: name}))
	}
	// Output:
	// eth0 true
	// wlan0 true
	// docker0 false
	// veth1a2b false
	// br-0123456789ab false
	// tailscale0 false
}
