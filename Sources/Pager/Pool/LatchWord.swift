import Synchronization

/// The word that guards one page: a hybrid reader-writer latch with a version.
///
///     bits 0 ..< 8    evicted, unlocked, marked, exclusive, or 3 + the number of shared holders
///     bits 8 ..< 64   version
///
/// The version grows with each exclusive hold, with each eviction and each reuse of the page's
/// id, and is never set back: so a reader that saw version v before and after reading has read
/// one state of one page (rule D1).
public enum LatchWord {
  /// The page is not in memory. (Zero, so that fresh words need no initialisation.)
  @inlinable public static var evicted: UInt64 { 0 }
  /// In memory, held by nobody.
  @inlinable public static var unlocked: UInt64 { 1 }
  /// Unlocked, and to be evicted unless somebody reads it before the clock's hand comes again.
  @inlinable public static var marked: UInt64 { 2 }
  /// Held by one thread that may change it.
  @inlinable public static var exclusive: UInt64 { 3 }
  /// The most threads that may share a page.
  @inlinable public static var sharedLimit: UInt64 { 250 }

  /// The state in a word.
  @inlinable public static func state(_ word: UInt64) -> UInt64 { word & 0xFF }
  /// The version in a word.
  @inlinable public static func version(_ word: UInt64) -> UInt64 { word >> 8 }
  /// A word with this version and state.
  @inlinable public static func word(version: UInt64, state: UInt64) -> UInt64 {
    version << 8 | state
  }
  /// The same version in another state.
  @inlinable public static func with(state: UInt64, _ word: UInt64) -> UInt64 {
    word & ~0xFF | state
  }
}
