// The tool's start: everything else is in `Kvtool`, where tests can reach it.
System.exit(Kvtool.run(System.arguments()))
