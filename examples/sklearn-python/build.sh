#!/usr/bin/env bash
# Builds and pushes the image of the Dockerfile without Docker: Debian's or Ubuntu's Python, wheels from PyPI, and crane.
#   build.sh REGISTRY/sklearn-python:1 [SCRATCH]
# Set CRANE where crane is not in the PATH, and CRANE_FLAGS=--insecure for a registry without TLS. SCRATCH keeps what was
# fetched and unpacked, so that a second time is quick; without it a temporary folder is used.
set -euo pipefail

image=${1:?"which image? build.sh REGISTRY/sklearn-python:1 [SCRATCH]"}
here=$(cd "$(dirname "$0")" && pwd)
crane=${CRANE:-crane}
read -ra flags <<<"${CRANE_FLAGS:-}"
if [ -n "${2:-}" ]; then
  scratch=$2
  mkdir -p "$scratch"
else
  scratch=$(mktemp --directory)
  trap 'rm -rf "$scratch"' EXIT
fi
case $(uname -m) in
  x86_64) platform=linux/amd64 ;;
  aarch64) platform=linux/arm64 ;;
  *) echo "build.sh: no image for $(uname -m)" >&2; exit 1 ;;
esac

layer() { # NAME FOLDER: the same files make the same bytes
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$2" -cf "$scratch/$1.tar" .
}

# What the distribution's Python needs, without Perl and the package manager. Packages are unpacked, not installed.
if [ ! -e "$scratch/debian.tar" ]; then
  rm -rf "$scratch/debs" "$scratch/debian"
  mkdir -p "$scratch/debs" "$scratch/debian"
  no=(--no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances)
  apt-cache depends --recurse "${no[@]}" "python3" ca-certificates dash libstdc++6 | grep '^[a-z]' | sort -u \
    | grep -Ev '^(perl.*|libperl.*|dpkg|debconf.*|cdebconf|mailcap|mime-support|media-types|install-info|tar|openssl)$' \
    >"$scratch/packages"
  (cd "$scratch/debs" && xargs apt-get download --quiet <"$scratch/packages")
  for package in "$scratch"/debs/*.deb; do dpkg-deb --extract "$package" "$scratch/debian"; done
  # What ca-certificates' installation would make.
  cat "$scratch"/debian/usr/share/ca-certificates/mozilla/*.crt >"$scratch/debian/etc/ssl/certs/ca-certificates.crt"
  mkdir -p "$scratch/debian/tmp"
  chmod 1777 "$scratch/debian/tmp"
  layer debian "$scratch/debian"
fi

python=$(find "$scratch/debian/usr/bin" -name 'python3.*' -printf '%f\n' | sort --version-sort | tail -1)
wanted=$(cat "$here/requirements.txt" "$scratch/packages" | sha256sum | cut -c 1-16)
if [ ! -e "$scratch/wheels-$wanted.tar" ]; then
  rm -rf "$scratch/wheels"
  # The image's Python, which need not be this machine's.
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
    --only-binary=:all: --python-version "${python#python}" --implementation cp \
    --platform "manylinux_2_28_$(uname -m)" --platform "manylinux2014_$(uname -m)" \
    --target "$scratch/wheels/usr/local/lib/$python/dist-packages" --requirement "$here/requirements.txt"
  # Tests are half of it.
  find "$scratch/wheels" -type d -name tests -prune -exec rm -rf {} +
  layer "wheels-$wanted" "$scratch/wheels"
fi

rm -rf "$scratch/ours"
mkdir -p "$scratch/ours/app"
cp "$here/predict.py" "$here/train.py" "$scratch/ours/app/"
chmod -R u+rwX,go+rX "$scratch/ours"
layer ours "$scratch/ours"

# The final tag appears only when the image is whole.
"$crane" append "${flags[@]}" --oci-empty-base --new_tag "$image-layers" \
  --new_layer "$scratch/debian.tar" --new_layer "$scratch/wheels-$wanted.tar" --new_layer "$scratch/ours.tar"
"$crane" mutate "${flags[@]}" "$image-layers" --tag "$image" --set-platform "$platform" --user 65532:65532 --workdir / \
  --env PATH=/usr/local/bin:/usr/bin:/bin --env LANG=C.UTF-8 --env PYTHONUNBUFFERED=1
