// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "BTreeKV", path: "..")],
  targets: [
    .executableTarget(
      name: "measure",
      dependencies: [
        .product(name: "BTreeKV", package: "BTreeKV"),
        .product(name: "Regions", package: "BTreeKV"),
        .product(name: "Vectors", package: "BTreeKV"),
      ]),
    // The system's: `apt-get install libsqlite3-dev`.
    .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite3"])]),
    .executableTarget(
      name: "differential",
      dependencies: ["CSQLite", .product(name: "BTreeKV", package: "BTreeKV")]),
    .executableTarget(
      name: "pco-measure", dependencies: [.product(name: "Vectors", package: "BTreeKV")]),
  ],
  swiftLanguageModes: [.v6]
)
