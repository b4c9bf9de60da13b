package app

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"rsc.io/qr"
)

// greet writes the first lines of a start by hand: where to open the pages.
// They leave in one write, so that no line of the log gets between them.
func greet(w io.Writer, version, title string, urls []string, claim string) {
	var b strings.Builder
	fmt.Fprintf(&b, "appliance %s: %s is open at\n", version, title)
	for _, url := range urls {
		fmt.Fprintf(&b, "  %s\n", url)
	}
	if claim != "" {
		fmt.Fprintf(&b, "Nobody administrates it yet. To claim it, open %sadmin/ and enter %s\n", urls[0], claim)
	}
	io.WriteString(w, b.String())
}

// QRText draws a QR code with half blocks, dark on light whatever the
// terminal's colours are, with the quiet zone that scanners need.
func QRText(text string) (string, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("drawing the QR code: %w", err)
	}
	const quiet = 2
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("\x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			b.WriteString(halfBlock(code.Black(x, y), code.Black(x, y+1)))
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String(), nil
}

func halfBlock(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	default:
		return " "
	}
}

// qrSVG draws a QR code as an SVG for a white background.
func qrSVG(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("drawing the QR code: %w", err)
	}
	const quiet = 4
	var b bytes.Buffer
	size := code.Size + 2*quiet
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`, size, size)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="`, size, size)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			run := x
			for run < code.Size && code.Black(run, y) {
				run++
			}
			if run > x {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run-x, run-x)
				x = run
			}
		}
	}
	b.WriteString(`"/></svg>` + "\n")
	return b.Bytes(), nil
}
