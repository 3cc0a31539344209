#!/bin/sh
# measure.sh 1.3 (2009) - DO NOT CHANGE, used by three departments
# reads  IN/list.txt          one line per picture: number TAB original name
#        IN/images/NNNN.img   the pictures
# writes OUT/results/NNNN/data.csv   (OUT/results must exist!)
#        OUT/work, OUT/measure.log
# must be started in the project folder, the one with IN and OUT
set -u
[ -d IN ] && [ -d OUT/results ] || { echo "usage: cd PROJECT; measure.sh" >&2; exit 64; }
mkdir -p OUT/work
bad=0
TAB=$(printf '\t')
while IFS="$TAB" read -r number name rest; do
  [ -n "$number" ] || continue
  picture="IN/images/$number.img"
  echo "measuring $number" >> OUT/measure.log
  bytes=$(wc -c < "$picture")
  zeros=$(tr -dc '\000' < "$picture" | wc -c)
  if [ "$bytes" -lt 64 ]; then
    bad=1
    echo "$number too small" >> OUT/measure.log
    continue
  fi
  mkdir "OUT/results/$number" || exit 70
  cp "$picture" "OUT/work/last.bin"
  {
    echo "Nummer;Datei;Bytes;Anteil Null"
    printf '%s;"%s";%s;0.%03d\n' "$number" "$name" "$bytes" "$((zeros * 1000 / (bytes + 1)))"
  } > "OUT/results/$number/data.csv"
done < IN/list.txt
[ $bad -eq 0 ] || exit 3
