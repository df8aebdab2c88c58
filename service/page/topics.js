/** Subjects by topic, and the words that lead to a topic when no subject has that name. */

/** @typedef {{name: string, subjects: string[], words: string[]}} Topic */

const topic = (/** @type {string} */ name, /** @type {string} */ subjects, /** @type {string} */ words) =>
  ({ name, subjects: subjects.split(" "), words: words.split(" ") });

/** @type {Topic[]} */
export const TOPICS = [
  topic("Food and drink", "coffee cake ice-cream drink fork-knife",
    "bakery bread pastry pizza burger sandwich soup fruit apple vegetable breakfast lunch dinner meal eat cook kitchen chef dessert sweet chocolate beer juice pub bistro catering barista"),
  topic("Home and places", "home building store bank bed key lightbulb",
    "room door window furniture rent estate real-estate property village town hospital church castle factory warehouse"),
  topic("Nature", "leaf flower tree sun moon drop fire snowflake cloud rain bug",
    "garden gardening farm grass seed animal dog cat bird fish pet vet mountain river sea ocean beach organic green environment season spring autumn storm weather wind fog sky"),
  topic("Travel", "plane car train bus bicycle ship truck briefcase map pin compass globe ticket umbrella",
    "holiday vacation trip tour tourism journey road route taxi motorbike scooter luggage baggage passport visit port navigation"),
  topic("Shop and money", "cart bag tag credit-card wallet money dollar gift box store",
    "buy sell sale discount coupon offer price cost pay euro pound coin finance invest investment insurance tax budget invoice bill order checkout retail fashion clothes shoe jewellery"),
  topic("Work and office", "briefcase calendar clock clipboard file folder printer paperclip list chart-bar chart-line chart-pie",
    "meeting plan planner schedule appointment deadline report contract lawyer law legal accounting accountant hr project task todo notes agenda finance"),
  topic("People and talk", "user users chat mail phone megaphone thumbs-up thumbs-down hand smile sad heart quote question info",
    "friend family child baby woman man human customer client support contact social network news blog review vote charity dating wedding emotion angry laugh"),
  topic("Technology", "laptop monitor mobile keyboard mouse chip server database code robot wifi battery watch",
    "software program programming hacker app website cloud-computing data electronics gadget hardware device tech cable usb bluetooth signal network"),
  topic("Image and sound", "camera video image music microphone headphones volume mute palette brush pencil wand",
    "film movie cinema theatre radio podcast concert band guitar piano dance design designer illustrator creative drawing paint photograph studio media"),
  topic("Health and sport", "pulse pill heart thermometer bicycle trophy medal target",
    "doctor hospital clinic medical health pharmacy dentist tooth fitness gym run running yoga football soccer tennis ball sport match training muscle therapy"),
  topic("Learning and play", "book graduation flask lightbulb puzzle gamepad dice glasses globe",
    "teacher student class course lesson study learn kindergarten research biology toy chess kids fun hobby story novel writer read"),
  topic("Safety and tools", "lock unlock shield key warning wrench scissors settings alarm bell trash eye eye-off",
    "password login safe safety police guard privacy repair fix mechanic builder construction hammer screwdriver drill machine danger emergency"),
  topic("Celebration and rank", "star crown diamond trophy medal sparkles rocket gift cake",
    "party birthday christmas new-year luxury premium vip quality winner success best champion launch"),
  topic("Interface", "search menu grid check close plus arrow-up arrow-down arrow-left arrow-right play pause download upload refresh share send link save bookmark flag filter sliders layers power bolt hourglass",
    "button ui navigation toolbar next previous remove delete export import settings switch toggle tab"),
];
