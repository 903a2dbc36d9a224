
# Added by reelcast's Makefile: in this shell `dagster` finds the graph, and in the project's folder the runs of the data set
# that the settings name now. After another REELCAST_DATA__FOLDER: eval "$(reelcast shell)"
export DAGSTER_MODULE_NAME=pipeline.definitions
if [ "$PWD" -ef "$VIRTUAL_ENV/.." ]; then
    eval "$("$VIRTUAL_ENV/bin/reelcast" shell)"
fi
