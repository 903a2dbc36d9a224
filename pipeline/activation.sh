
# Added by reelcast's Makefile. `dagster` finds the graph in this shell. If the shell is in the project's folder, `dagster` also
# uses the instance of the configured data set. After a change of REELCAST_DATA__FOLDER run: eval "$(reelcast shell)"
export DAGSTER_MODULE_NAME=pipeline.definitions
export DAGSTER_CLI_DEV_USE_LEGACY_CODE_SERVER_BEHAVIOR=1
if [ "$PWD" -ef "$VIRTUAL_ENV/.." ]; then
    eval "$("$VIRTUAL_ENV/bin/reelcast" shell)"
fi
