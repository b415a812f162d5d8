// The random-load demo: a million random pairs are inserted, looked up, walked both ways and
// removed, every answer checked. `swift run -c release Demo --help` lists the options.

exitProcess(runDemo(CommandLine.arguments))
