package app

import (
	"os"
	"strings"

	"server22.local/appliance/internal/card"
	"server22.local/appliance/internal/health"
)

// cardProblems is where the card's boot tells what it could not do.
const cardProblems = "/run/appliance-card/" + card.ProblemFile

// warnOfCard shows the card's problems where the owner looks: a device without
// a screen has no other way to tell.
func (a *App) warnOfCard(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	a.health.Set(health.Condition{
		ID: "card", Code: health.CardSettings, Severity: health.Warning, Text: strings.TrimSpace(string(text)),
		Hint: "settings are mended in appliance.toml on the card's first partition; without a data partition, write the image to another card",
	})
}
