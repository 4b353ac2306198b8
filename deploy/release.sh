#!/bin/sh
# Makes what is given out of a release: an archive of the stripped binary with completions and manual
# pages, its line tables apart, a Debian package, and the checksums of all of them.
#
#   deploy/release.sh [DIR]             DIR: target/dist, unless given
#
#   POSTRIDER_BINARY=FILE               takes this binary in place of a release build
#   POSTRIDER_MAINTAINER="NAME <MAIL>"  who answers for the Debian package
#   SOURCE_DATE_EPOCH=SECONDS           date of all files; the last commit's, unless given
#
# The binary needs glibc 2.34 (Debian 12, Ubuntu 22.04, RHEL 9), wherever it is built; where the
# compiler's own libc makes it need a newer one, nothing is made.
set -eu
umask 022
export LC_ALL=C

root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/target/dist}
most=2.34

give_up() {
    echo "release.sh: $*" >&2
    exit 1
}
for tool in objcopy objdump strip tar gzip sha256sum dpkg-deb; do
    command -v $tool >/dev/null || give_up "$tool is missing: apt-get install binutils dpkg"
done

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
[ -n "$version" ] || give_up "no version in Cargo.toml"
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)
fi
export SOURCE_DATE_EPOCH

if [ -z "${POSTRIDER_BINARY:-}" ]; then
    POSTRIDER_REVISION=$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
    export POSTRIDER_REVISION
    # Line tables name files and lines in a backtrace; nobody but the archive of them carries them.
    (cd "$root" && CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
        cargo build --locked --release --package postrider --bin postrider) || give_up "no build"
    POSTRIDER_BINARY=${CARGO_TARGET_DIR:-$root/target}/release/postrider
fi
[ -x "$POSTRIDER_BINARY" ] || give_up "$POSTRIDER_BINARY is no program"

needs=$(objdump -T "$POSTRIDER_BINARY" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
[ "$(printf '%s\n' "$most" "$needs" | sort -V | tail -n 1)" = "$most" ] ||
    give_up "the binary needs glibc $needs, and no more than $most is promised: build it on an older system"

case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) give_up "no package for $(uname -m)" ;;
esac
name=postrider-$version-linux-$arch

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

# pack DIR ARCHIVE: the same bytes for the same files.
pack() {
    tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        -C "$work" -cf - "$1" | gzip -n >"$out/$2"
}

# --- the archive ---------------------------------------------------------------------------------

files=$work/$name
mkdir -p "$files/completions" "$files/man" "$work/$name-debug"
objcopy --only-keep-debug "$POSTRIDER_BINARY" "$work/$name-debug/postrider.debug"
strip --strip-all -o "$files/postrider" "$POSTRIDER_BINARY"
(cd "$work/$name-debug" && objcopy --add-gnu-debuglink=postrider.debug "$files/postrider")
"$files/postrider" man "$files/man" >/dev/null
for shell in bash zsh fish; do
    "$files/postrider" completions $shell >"$files/completions/postrider.$shell"
done
cp "$root/README.md" "$root/CHANGELOG.md" "$root/LICENSE-MIT" "$root/LICENSE-APACHE" "$files"
pack "$name" "$name.tar.gz"
pack "$name-debug" "$name-debug.tar.gz"

# --- the Debian package --------------------------------------------------------------------------

debian=$root/deploy/debian
tree=$work/deb
install -D -m 0755 "$files/postrider" "$tree/usr/bin/postrider"
for unit in "$debian"/*.service; do
    install -D -m 0644 "$unit" "$tree/lib/systemd/system/$(basename "$unit")"
done
install -D -m 0644 "$debian/default" "$tree/etc/default/postrider"
install -D -m 0640 "$debian/postrider.toml" "$tree/etc/postrider/postrider.toml"
doc=$tree/usr/share/doc/postrider
install -D -m 0644 "$debian/copyright" "$doc/copyright"
install -m 0644 "$root/README.md" "$root/LICENSE-MIT" "$doc"
gzip -9nc "$root/CHANGELOG.md" >"$doc/CHANGELOG.md.gz"
maintainer=${POSTRIDER_MAINTAINER:-The postrider authors <noreply@postrider.invalid>}
gzip -9n >"$doc/changelog.gz" <<NOTE
postrider ($version) unstable; urgency=medium

  * What changed is in CHANGELOG.md.gz.

 -- $maintainer  $(date -u -R --date="@$SOURCE_DATE_EPOCH")
NOTE
install -D -m 0644 "$debian/lintian-overrides" "$tree/usr/share/lintian/overrides/postrider"
install -D -m 0644 "$root/deploy/prometheus/alerts.yml" "$doc/examples/alerts.yml"
for page in "$files"/man/*.1; do
    mkdir -p "$tree/usr/share/man/man1"
    gzip -9nc "$page" >"$tree/usr/share/man/man1/$(basename "$page").gz"
done
install -D -m 0644 "$files/completions/postrider.bash" "$tree/usr/share/bash-completion/completions/postrider"
install -D -m 0644 "$files/completions/postrider.zsh" "$tree/usr/share/zsh/vendor-completions/_postrider"
install -D -m 0644 "$files/completions/postrider.fish" "$tree/usr/share/fish/vendor_completions.d/postrider.fish"

control=$tree/DEBIAN
mkdir -m 0755 "$control"
for script in postinst prerm postrm; do install -m 0755 "$debian/$script" "$control"; done
install -m 0644 "$debian/conffiles" "$control"
# What it links, by the packages' own word where there is a tool that asks for it.
depends="libc6 (>= $most), libgcc-s1"
if command -v dpkg-shlibdeps >/dev/null; then
    mkdir "$work/debian"
    printf 'Source: postrider\n\nPackage: postrider\nArchitecture: any\n' >"$work/debian/control"
    found=$(cd "$work" && dpkg-shlibdeps -O deb/usr/bin/postrider 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
    depends=${found:-$depends}
fi
cat >"$control/control" <<CONTROL
Package: postrider
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f 1)
Depends: adduser, $depends
Recommends: ca-certificates
Section: net
Priority: optional
Description: delivery tier for Pact Broker and PactFlow webhooks
 Takes the events of a Pact Broker or PactFlow, tells GitHub or anything else
 that speaks HTTPS, and does not lose, flood or stay silent: what was accepted
 is on disk, a dead token holds deliveries and drops none, limits are kept, and
 whoever has to know is told.
CONTROL
(cd "$tree" && find usr lib etc -type f -print0 | sort -z | xargs -0 md5sum >"$control/md5sums")
find "$tree" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
dpkg-deb --root-owner-group -Zgzip --build "$tree" "$out/postrider_${version}_$arch.deb" >/dev/null

(cd "$out" && sha256sum "$name.tar.gz" "$name-debug.tar.gz" "postrider_${version}_$arch.deb" >SHA256SUMS-$arch)
(cd "$out" && cat SHA256SUMS-$arch)
