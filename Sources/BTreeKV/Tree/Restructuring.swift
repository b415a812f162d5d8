internal import Pager

/// What a prepared mutation will publish: new pages that nobody sees yet, pages that go, and one
/// change in place.
struct Restructuring {
  /// Pages made so far; held exclusively.
  var made: [PageReference] = []
  /// Pages that the tree will no longer refer to; held shared until publishing.
  var replaced: [PageReference] = []
  /// Pages beside the path that are held shared.
  var siblings: [PageReference] = []
  /// The epoch in which the new pages are born.
  var birth: Epoch
  /// Pages born up to here are not changed in place.
  var youngestPin: Epoch
  var top = Top.none

  /// The one place where the new pages are hung in.
  enum Top {
    case none
    /// The children `first ..< first + removed` of an inner page are replaced.
    case children(pathIndex: Int, ChildReplacement)
    /// The tree gets another root.
    case root(PageReference, height: Int)
  }
}

/// Children of an inner page that give way to others.
struct ChildReplacement {
  var first: Int
  var removed: Int
  /// The new ones.
  ///
  /// The first takes over the separator of slot `first`, so its key is not used.
  var added: [(key: [UInt8], child: PageReference)]
}
