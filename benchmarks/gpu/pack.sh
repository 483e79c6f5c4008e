#!/usr/bin/env bash
# Makes the folder .gpu of what the GPU machine lacks. Run in the project's root:  bash benchmarks/gpu/pack.sh
#
# Wheels of the packages that are missing there, at the versions of constraints.txt, and the photos of CIFAR-10, a .tar.xz
# that CIFAR names. Git ignores .gpu. Run it again after a change of constraints.txt; the
# project's own code needs no packing.
set -eu
here=$PWD
[ -f "$here/constraints.txt" ] && [ -d "$here/automl" ] || { echo "run this in the project's root" >&2; exit 2; }
packages="optuna optuna-dashboard sqlalchemy alembic mako bottle colorlog pydantic pydantic_core annotated-types typing-inspection typing_extensions"

mkdir -p .gpu/wheels
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
platforms=""
for n in 17 24 27 28 31 34 35; do platforms="$platforms --platform manylinux_2_${n}_x86_64"; done
wanted=""
for name in $packages; do
    version=$(sed -n "s/^$name==//Ip" constraints.txt | head -1)
    [ -n "$version" ] || version=$(sed -n "s/^$(echo "$name" | tr _ -)==//Ip" constraints.txt | head -1)
    [ -n "$version" ] || { echo "constraints.txt has no version of $name" >&2; exit 1; }
    file=$(echo "$name" | tr 'A-Z-' 'a-z_')-$version
    wanted="$wanted $file"
    ls .gpu/wheels/"$file"-*.whl >/dev/null 2>&1 && continue
    # shellcheck disable=SC2086
    "$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp $platforms \
        --platform manylinux2014_x86_64 --platform manylinux1_x86_64 -d .gpu/wheels "$name==$version"
done
for wheel in .gpu/wheels/*.whl; do  # two versions of one would stop the whole install
    known=no
    for file in $wanted; do case $(basename "$wheel" | tr 'A-Z' 'a-z') in "$file"-*) known=yes ;; esac; done
    [ $known = yes ] || rm "$wheel"
done

data=${CIFAR:-$here/../shared/data/cifar10-images.tar.xz}
if [ -f "$data" ]; then cmp -s "$data" .gpu/cifar10-images.tar.xz || { rm -f .gpu/cifar10-images.tar.xz; cp "$data" .gpu/; }
else echo "without CIFAR-10: $data is not there"; fi

travels=$( { git ls-files -coz --exclude-standard; [ -d shared ] && find shared -type f -print0; true; } | sort -zu | xargs -0 -r du -cb 2>/dev/null | tail -1 | cut -f1)
carried=$(du -sb .gpu | cut -f1)
mib=$(((travels + carried + 1048575) / 1048576))
echo "the tree $((travels / 1048576)) MiB + .gpu $((carried / 1048576)) MiB = $mib MiB of 64"
((mib < 64)) || { echo "too large: take something out of the tree or of .gpu" >&2; exit 1; }
cat <<'TEXT'
to take along: .gpu
first:   bash benchmarks/gpu/on-device.sh quick     limit 200 s
then:    bash benchmarks/gpu/on-device.sh main      limit 560 s
TEXT
