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
      ])
  ],
  swiftLanguageModes: [.v6]
)
