# What ships: binaries, packages, a card image. The development of the project
# itself needs only `go run ./cmd/appliance` and `test/all`.
.PHONY: cross deb bundle image test-image flash clean

cross:
	build/arm/cross.sh

deb: cross
	build/arm/deb.sh

bundle: cross
	build/arm/bundle.sh "$(KEY)"

image: deb
	build/arm/image.sh

# Boots what make image has made: up to half an hour. Needs root.
test-image:
	APPLIANCE_IMAGE=$(CURDIR)/dist/appliance-arm64.img CI=true go test -count=1 -timeout 60m -v ./test/image

flash:
	@build/arm/flash.sh "$(DEV)"

clean:
	rm -rf dist
