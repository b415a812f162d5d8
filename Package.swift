// swift-tools-version: 6.2
import PackageDescription

/// Settings every target of this package is built with.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

// `SHARED_LATCHES=1 swift test --sanitize=thread` builds the page pool with shared latches in
// place of optimistic reads, whose intended races ThreadSanitizer cannot tell from real ones.
let latchSettings: [SwiftSetting] =
  Context.environment["SHARED_LATCHES"] == nil ? [] : [.define("SHARED_LATCHES")]

let package = Package(
  name: "BTreeKV",
  platforms: [.macOS(.v26)],
  products: [
    .library(name: "BTreeKV", targets: ["BTreeKV"]),
    .library(name: "BTreeKVCodable", targets: ["BTreeKVCodable"]),
    .library(name: "Vectors", targets: ["Vectors"]),
    .library(name: "Regions", targets: ["Regions"]),
    .executable(name: "kvtool", targets: ["kvtool"]),
    .executable(name: "Demo", targets: ["Demo"]),
  ],
  targets: [
    .target(name: "Pager", swiftSettings: settings + latchSettings),
    .target(name: "BTreeKV", dependencies: ["Pager"], swiftSettings: settings + latchSettings),
    // The only one that imports Foundation.
    .target(name: "BTreeKVCodable", dependencies: ["BTreeKV"], swiftSettings: settings),
    .target(name: "Vectors", dependencies: ["BTreeKV", "Pager"], swiftSettings: settings),
    .executableTarget(
      name: "kvtool", dependencies: ["BTreeKV", "Regions", "Vectors"], swiftSettings: settings),
    .executableTarget(
      name: "Demo", dependencies: ["BTreeKV"], path: "Demo", swiftSettings: settings),
    .target(name: "Regions", dependencies: ["BTreeKV", "Pager"], swiftSettings: settings),
    .target(
      name: "TestSupport", dependencies: ["BTreeKV", "Pager"], path: "Tests/TestSupport",
      swiftSettings: settings + latchSettings),
    .target(
      name: "CrashSupport",
      dependencies: ["BTreeKV", "Pager", "Regions", "TestSupport", "Vectors"],
      path: "Tests/CrashSupport", swiftSettings: settings),
    .executableTarget(
      name: "Torture", dependencies: ["CrashSupport", "Pager", "TestSupport"],
      path: "Tests/Torture", swiftSettings: settings),
    .executableTarget(
      name: "KillWriter", dependencies: ["BTreeKV", "Pager", "Regions", "TestSupport"],
      path: "Tests/KillWriter", swiftSettings: settings),
    .executableTarget(
      name: "Stress", dependencies: ["BTreeKV", "Pager", "TestSupport"],
      path: "Tests/Stress", swiftSettings: settings),
    .testTarget(
      name: "PagerTests", dependencies: ["Pager", "TestSupport"],
      swiftSettings: settings + latchSettings),
    .testTarget(
      name: "BTreeKVTests",
      dependencies: ["BTreeKV", "BTreeKVCodable", "Pager", "TestSupport", "KillWriter"],
      swiftSettings: settings + latchSettings),
    .testTarget(
      name: "RegionsTests",
      dependencies: ["Regions", "BTreeKV", "Pager", "TestSupport", "KillWriter"],
      swiftSettings: settings + latchSettings),
    .testTarget(
      name: "CrashTests",
      dependencies: ["Pager", "BTreeKV", "CrashSupport", "Regions", "TestSupport", "Vectors"],
      path: "Tests/CrashTests", swiftSettings: settings + latchSettings),
    .executableTarget(
      name: "PcoReference", dependencies: ["Vectors"], path: "Tests/PcoReference",
      exclude: ["check"], swiftSettings: settings),
    .testTarget(
      name: "VectorsTests",
      dependencies: ["Vectors", "Regions", "BTreeKV", "Pager", "TestSupport"],
      exclude: ["Fixtures"], swiftSettings: settings + latchSettings),
    .testTarget(
      name: "HouseTests", dependencies: ["BTreeKV", "Pager", "Regions", "Vectors"],
      swiftSettings: settings),
    .testTarget(
      name: "ToolTests",
      dependencies: ["BTreeKV", "Regions", "Vectors", "kvtool", "Demo", "TestSupport"],
      swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
