package main

import "testing"

func TestTokenIsShownToWhomItIsFor(t *testing.T) {
	const ours = "the token of this machine"
	for address, want := range map[string]string{
		"http://127.0.0.1:8080/":             ours,
		"http://[::1]/":                      ours,
		"http://localhost:8080":              ours,
		"http://stranger.local/":             "",
		"http://192.0.2.7/":                  "",
		"http://server7.local/?token=theirs": "theirs",
	} {
		if got := tokenFor(address, ours); got != want {
			t.Errorf("%s is shown %q, want %q", address, got, want)
		}
	}
	t.Setenv("APPLIANCE_ACCESS_TOKEN", "from the environment")
	if got := tokenFor("http://server7.local/", ours); got != "from the environment" {
		t.Errorf("with one in the environment it is shown %q", got)
	}
}
