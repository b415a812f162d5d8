/// How `Pco.compress(_:options:)` works.
public struct PcoOptions: Sendable {
  /// How much effort goes into small output, from 0 to 12.
  ///
  /// Each level doubles the resolution at which the distribution of the numbers is looked at. The
  /// default, 8, is about as small as data gets; the levels above take several times as long for
  /// less than a percent, as a rule. Decompression is equally fast at all levels.
  public var level: Int

  /// The numbers are divided evenly into chunks of at most so many, from 1 to 2 ** 24.
  ///
  /// Each chunk has a distribution, a mode and deltas of its own.
  public var maximumChunkCount: Int

  /// Makes options.
  ///
  /// - Parameters:
  ///   - level: How much effort goes into small output, from 0 to 12.
  ///   - maximumChunkCount: The most numbers that a chunk gets, from 1 to 2 ** 24.
  public init(level: Int = 8, maximumChunkCount: Int = 1 << 18) {
    self.level = level
    self.maximumChunkCount = maximumChunkCount
  }
}
